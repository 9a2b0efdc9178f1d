package api

import (
	"encoding/json"
	"fmt"
	"maps"
	"net/netip"
	"path"
	"regexp"
	"slices"
	"strconv"
	"strings"

	"github.com/matih/pipeline-service/models"
)

const (
	defaultPort = 5432
	mysqlPort   = 3306
	// maxConnectMs is the longest connectionTimeout, in milliseconds.
	maxConnectMs = 600_000
)

var (
	// secretRef is a name in the secret store. It becomes a file name there, so it has no slash.
	secretRef = regexp.MustCompile(`^[A-Za-z0-9][A-Za-z0-9._-]{0,127}$`)
	// hostName is a host name: letters, digits and hyphens in labels, with underscores as some networks have them.
	hostName = regexp.MustCompile(`^[A-Za-z0-9_]([A-Za-z0-9_-]{0,61}[A-Za-z0-9_])?(\.[A-Za-z0-9_]([A-Za-z0-9_-]{0,61}[A-Za-z0-9_])?)*\.?$`)
	// secretWord begins to look like a secret's name.
	secretWord = regexp.MustCompile(`(?i)passw|passwd|pwd|secret|token|credential|private.?key|access.?key|api.?key|user(name)?$`)
)

var sslModes = []string{"disable", "prefer", "require", "verify-ca", "verify-full"}

// check finds all that is wrong with a connection beyond its schema. A connection can only say what
// is listed here: options of a driver that could read files, name other hosts or carry secrets have no place.
func (b *ConnectionBody) check() []models.Mistake {
	c := &connectionCheck{}
	c.found = append(c.found, checkLine("body.name", b.Name)...)
	if models.IsID(models.PrefixConnection, b.Name) {
		c.note("name", "must not look like a connection's id")
	}
	if b.CredentialSecretRef != "" && !secretRef.MatchString(b.CredentialSecretRef) {
		c.note("credentialSecretRef", "must be 1 to 128 letters, digits, dots, underscores and hyphens, beginning with a letter or digit")
	}
	properties := map[string]json.RawMessage{}
	if b.Properties.given() {
		if err := json.Unmarshal(b.Properties, &properties); err != nil {
			c.note("properties", "cannot be read")
		}
	}
	switch {
	case b.Type == models.ConnectionJDBC:
		c.jdbc(b, properties)
	case b.Type == models.ConnectionLocal:
		c.local(b, properties)
	case b.Type == models.ConnectionKafka:
		c.kafka(b, properties)
	case b.Type != "":
		c.note("type", "%s is not supported by this release; use %s", b.Type, words(models.ConnectionTypes))
	}
	return c.found
}

// connectionCheck collects the mistakes of a connection.
type connectionCheck struct{ found []models.Mistake }

func (c *connectionCheck) note(field, format string, args ...any) {
	c.found = append(c.found, models.Mistake{Location: "body." + field, Message: fmt.Sprintf(format, args...)})
}

// jdbc checks a relational database.
func (c *connectionCheck) jdbc(b *ConnectionBody, properties map[string]json.RawMessage) {
	if b.Host == "" {
		c.note("host", "is required for a jdbc connection")
	} else if !isHost(b.Host) {
		c.note("host", "must be a host name or an IP address, without scheme, port, path or credentials")
	}
	if b.Database == "" {
		c.note("database", "is required for a jdbc connection")
	}
	c.found = append(c.found, checkLine("body.database", b.Database)...)
	driver, at := "postgresql", "port"
	if b.Port == mysqlPort {
		driver = "mysql"
	}
	for _, key := range slices.Sorted(maps.Keys(properties)) {
		field, value := "properties."+key, properties[key]
		switch key {
		case "driver":
			driver, at = c.text(field, value), field
		case "sslMode":
			if mode := c.text(field, value); mode != "" && !slices.Contains(sslModes, mode) {
				c.note(field, "must be %s", words(sslModes))
			}
		case "connectionTimeout":
			c.milliseconds(field, value)
		default:
			c.unknown(key, "driver, sslMode and connectionTimeout")
		}
	}
	switch driver {
	case "postgresql", "": // where it is no text, that has been said
	case "mysql":
		c.note(at, "mysql is not supported by this release; properties.driver postgresql is")
	default:
		c.note(at, "must be postgresql")
	}
}

// local checks a directory of the workers.
func (c *connectionCheck) local(b *ConnectionBody, properties map[string]json.RawMessage) {
	for _, field := range []struct {
		name  string
		given bool
	}{
		{"host", b.Host != ""}, {"port", b.Port != 0}, {"database", b.Database != ""},
		{"credentialSecretRef", b.CredentialSecretRef != ""},
	} {
		if field.given {
			c.note(field.name, "means nothing for a local connection")
		}
	}
	if _, ok := properties["path"]; !ok {
		c.note("properties.path", "is required for a local connection")
	}
	for _, key := range slices.Sorted(maps.Keys(properties)) {
		if key != "path" {
			c.unknown(key, "path")
			continue
		}
		dir := c.text("properties.path", properties[key])
		c.found = append(c.found, checkLine("body.properties.path", dir)...)
		if dir != "" && (!path.IsAbs(dir) || path.Clean(dir) != dir) {
			c.note("properties.path", "must be an absolute path without . and .. and double slashes")
		}
	}
}

// maxHostName is how long the name of a host can be.
const maxHostName = 253

// isHost reports whether a host is one name or address and nothing more: a list, a path, a scheme or
// credentials would let a driver reach something else.
func isHost(host string) bool {
	if address, err := netip.ParseAddr(strings.Trim(host, "[]")); err == nil {
		return address.Zone() == ""
	}
	return len(host) <= maxHostName && hostName.MatchString(host)
}

// milliseconds checks a time to wait.
func (c *connectionCheck) milliseconds(field string, value json.RawMessage) {
	if ms, err := strconv.Atoi(string(value)); err != nil || ms < 1 || ms > maxConnectMs {
		c.note(field, "must be a whole number of milliseconds from 1 to %d", maxConnectMs)
	}
}

// text is a property that must be a non-empty string; empty where it is not.
func (c *connectionCheck) text(field string, value json.RawMessage) string {
	var s string
	if err := json.Unmarshal(value, &s); err != nil || s == "" {
		c.note(field, "must be a text")
		return ""
	}
	return s
}

// unknown refuses a property. One that looks like a secret gets a hint to where secrets belong.
func (c *connectionCheck) unknown(key, known string) {
	if secretWord.MatchString(key) {
		c.note("properties."+key, "is refused: secrets belong into the secret store; name the entry in credentialSecretRef")
		return
	}
	c.note("properties."+key, "is no property of this connection; known are %s", known)
}
