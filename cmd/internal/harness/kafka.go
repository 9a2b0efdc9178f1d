package harness

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"syscall"
	"time"
)

// Kafka is a started broker.
type Kafka struct {
	// Address is where anybody may come in, SASLAddress where User has to log in with Password; both are host:port.
	Address, SASLAddress string
	User, Password       string
	cmd                  *exec.Cmd
	output               *output
	exited               chan struct{}
}

// StartKafka starts a broker that keeps its data in dir and waits until it answers. Where there is none to start the
// error is one line that says what to install.
func StartKafka(ctx context.Context, dir string) (*Kafka, error) {
	scripts, err := kafkaScripts()
	if err != nil {
		return nil, err
	}
	ports := make([]string, 3)
	for i := range ports {
		if ports[i], err = freePort(); err != nil {
			return nil, err
		}
	}
	k := &Kafka{
		Address: "127.0.0.1:" + ports[0], SASLAddress: "127.0.0.1:" + ports[1], User: "reader", Password: rand.Text(),
		output: &output{}, exited: make(chan struct{}),
	}
	k.cmd = exec.Command(filepath.Join(scripts, "start"), dir, ports[0], ports[1], ports[2], k.Password)
	k.cmd.Stdout, k.cmd.Stderr = k.output, k.output
	if err := k.cmd.Start(); err != nil {
		return nil, fmt.Errorf("start Kafka: %w", err)
	}
	go func() {
		_ = k.cmd.Wait() // Stop and the wait below say what it means that it ended
		close(k.exited)
	}()
	ctx, cancel := context.WithTimeout(ctx, 2*startTimeout)
	defer cancel()
	err = every(ctx, 100*time.Millisecond, func() (bool, error) {
		select {
		case <-k.exited:
			return false, errors.New("it ended")
		default:
		}
		conn, err := net.Dial("tcp", k.Address)
		if err != nil {
			return false, nil //nolint:nilerr // it does not listen yet
		}
		return true, conn.Close()
	})
	if err != nil {
		k.Stop()
		return nil, fmt.Errorf("kafka did not start: %w\n%s", err, k.output)
	}
	return k, nil
}

// Stop ends the broker, which the tests need no more, on the spot.
func (k *Kafka) Stop() {
	_ = k.cmd.Process.Signal(syscall.SIGKILL)
	<-k.exited
}

// kafkaScripts finds deploy/kafka of this module and sees that deploy/kafka/install has run.
func kafkaScripts() (string, error) {
	dir, err := os.Getwd()
	if err != nil {
		return "", err
	}
	for !exists(filepath.Join(dir, "go.mod")) {
		if dir == filepath.Dir(dir) {
			return "", errors.New("harness: there is no go.mod above the working directory")
		}
		dir = filepath.Dir(dir)
	}
	if _, err := exec.LookPath("java"); err != nil || !exists(filepath.Join(dir, ".kafka", "lib", "pom.xml")) {
		return "", errors.New("harness: there is no Kafka: these tests need Java 17 and what deploy/kafka/install fetches with Maven, on Debian: apt-get install openjdk-17-jre-headless maven")
	}
	return filepath.Join(dir, "deploy", "kafka"), nil
}

func exists(path string) bool {
	_, err := os.Stat(path)
	return err == nil
}

func freePort() (string, error) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return "", err
	}
	_, port, err := net.SplitHostPort(l.Addr().String())
	return port, errors.Join(err, l.Close())
}
