package egress

import (
	"net"
	"net/netip"
	"testing"
	"time"
)

func TestCheck(t *testing.T) {
	for _, c := range []struct {
		name, host, addr string
		allow, deny      []string
		allowed          bool
	}{
		{"public", "db.example", "93.184.216.34", nil, nil, true},
		{"private", "db.internal", "10.1.2.3", nil, nil, true},
		{"loopback", "localhost", "127.0.0.1", nil, nil, false},
		{"loopback range", "x", "127.8.8.8", nil, nil, false},
		{"loopback in IPv6", "x", "::1", nil, nil, false},
		{"mapped", "x", "::ffff:127.0.0.1", nil, nil, false},
		{"compatible", "x", "::127.0.0.1", nil, nil, false},
		{"NAT64", "x", "64:ff9b::7f00:1", nil, nil, false},
		{"6to4", "x", "2002:7f00:1::", nil, nil, false},
		{"metadata", "x", "169.254.169.254", nil, nil, false},
		{"mapped metadata", "x", "::ffff:169.254.169.254", nil, nil, false},
		{"metadata in IPv6", "x", "fd00:ec2::254", nil, nil, false},
		{"another metadata", "x", "100.100.100.200", nil, nil, false},
		{"link-local with zone", "x", "fe80::1%eth0", nil, nil, false},
		{"unspecified", "x", "0.0.0.0", nil, nil, false},
		{"this network", "x", "0.1.2.3", nil, nil, false},
		{"unspecified in IPv6", "x", "::", nil, nil, false},
		{"multicast", "x", "224.0.0.1", nil, nil, false},
		{"broadcast", "x", "255.255.255.255", nil, nil, false},
		{"loopback allowed", "x", "127.0.0.1", []string{"127.0.0.0/8"}, nil, true},
		{"mapped loopback allowed", "x", "::ffff:127.0.0.1", []string{"127.0.0.1"}, nil, true},
		{"allowed by name", "LocalHost.", "127.0.0.1", []string{"localhost"}, nil, true},
		{"another name", "evil", "127.0.0.1", []string{"localhost"}, nil, false},
		{"denied", "db.example", "10.1.2.3", nil, []string{"10.0.0.0/8"}, false},
		{"deny wins", "db.example", "10.1.2.3", []string{"10.1.2.3"}, []string{"10.0.0.0/8"}, false},
		{"denied by name", "db.example", "93.184.216.34", nil, []string{"DB.example"}, false},
		{"denied as mapped", "x", "::ffff:10.1.2.3", nil, []string{"10.0.0.0/8"}, false},
	} {
		t.Run(c.name, func(t *testing.T) {
			p, err := NewPolicy(c.allow, c.deny)
			if err != nil {
				t.Fatal(err)
			}
			if err := p.Check(c.host, netip.MustParseAddr(c.addr)); (err == nil) != c.allowed {
				t.Errorf("got %v, allowed should be %t", err, c.allowed)
			}
		})
	}
}

func TestRules(t *testing.T) {
	for _, bad := range []string{"", "http://x", "10.0.0.0/33", "a b"} {
		if _, err := NewPolicy([]string{bad}, nil); err == nil {
			t.Errorf("the rule %q was accepted", bad)
		}
	}
}

// TestDialerChecksTheResolvedAddress: a name that leads to a denied address is refused before a byte is sent.
func TestDialerChecksTheResolvedAddress(t *testing.T) {
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer listener.Close()
	for _, allow := range [][]string{nil, {"127.0.0.1", "::1"}} {
		p, err := NewPolicy(allow, nil)
		if err != nil {
			t.Fatal(err)
		}
		conn, err := p.Dialer("innocent.example", time.Second).DialContext(t.Context(), "tcp", listener.Addr().String())
		if (err == nil) != (allow != nil) {
			t.Errorf("with %v: %v", allow, err)
		}
		if conn != nil {
			_ = conn.Close()
		}
	}
}
