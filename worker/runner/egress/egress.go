// Package egress decides which addresses a task process may connect to. The decision falls on the
// resolved address in the moment of the connection, so a name that changes its mind gains nothing.
package egress

import (
	"context"
	"fmt"
	"net"
	"net/netip"
	"strings"
	"syscall"
	"time"

	"github.com/matih/pipeline-service/models"
	"github.com/matih/pipeline-service/worker/runner/fault"
)

// Policy holds the rules. A deny wins over an allow, an allow over the built-in denials.
type Policy struct {
	allow, deny rules
}

type rules struct {
	prefixes []netip.Prefix
	hosts    map[string]bool
}

// NewPolicy reads rules: CIDR ranges, addresses or host names.
func NewPolicy(allow, deny []string) (*Policy, error) {
	p := &Policy{}
	for _, list := range []struct {
		from []string
		to   *rules
	}{{allow, &p.allow}, {deny, &p.deny}} {
		list.to.hosts = map[string]bool{}
		for _, rule := range list.from {
			if err := list.to.add(rule); err != nil {
				return nil, err
			}
		}
	}
	return p, nil
}

func (r *rules) add(rule string) error {
	rule = strings.TrimSpace(rule)
	if prefix, err := netip.ParsePrefix(rule); err == nil {
		r.prefixes = append(r.prefixes, prefix.Masked())
		return nil
	}
	if addr, err := netip.ParseAddr(rule); err == nil {
		addr = addr.Unmap()
		r.prefixes = append(r.prefixes, netip.PrefixFrom(addr, addr.BitLen()))
		return nil
	}
	if rule == "" || strings.ContainsAny(rule, "/: ") {
		return fmt.Errorf("the egress rule %q is neither a CIDR range, an address nor a host name", rule)
	}
	r.hosts[canonicalHost(rule)] = true
	return nil
}

func (r *rules) match(host string, addrs []netip.Addr) bool {
	if r.hosts[canonicalHost(host)] {
		return true
	}
	for _, prefix := range r.prefixes {
		for _, addr := range addrs {
			if prefix.Contains(addr) {
				return true
			}
		}
	}
	return false
}

// Check says whether host may be reached at addr.
func (p *Policy) Check(host string, addr netip.Addr) error {
	addrs := embedded(addr)
	switch {
	case p.deny.match(host, addrs):
		return fault.Errorf(models.ClassForbidden, "the egress rules of this service deny %s", host)
	case p.allow.match(host, addrs):
		return nil
	}
	for _, a := range addrs {
		if special(a) {
			return fault.Errorf(models.ClassForbidden,
				"%s leads to a loopback, link-local, metadata or unspecified address, which the egress rules of this service deny", host)
		}
	}
	return nil
}

// Dialer connects to host only, under the policy.
func (p *Policy) Dialer(host string, timeout time.Duration) *net.Dialer {
	return &net.Dialer{
		Timeout:  timeout,
		Resolver: Resolver(),
		ControlContext: func(_ context.Context, _, address string, _ syscall.RawConn) error {
			addrPort, err := netip.ParseAddrPort(address)
			if err != nil {
				return fault.Errorf(models.ClassForbidden, "%s does not lead to an internet address", host)
			}
			return p.Check(host, addrPort.Addr())
		},
	}
}

// Resolver is Go's own resolver, which needs no libraries that the sandbox hides and knows no octal or
// decimal spellings of addresses.
func Resolver() *net.Resolver { return &net.Resolver{PreferGo: true} }

func canonicalHost(host string) string {
	return strings.ToLower(strings.TrimSuffix(host, "."))
}

var (
	nat64  = netip.MustParsePrefix("64:ff9b::/96")
	sixTo4 = netip.MustParsePrefix("2002::/16")
	// Reserved ranges that no one publishes a service under but hosts use for themselves, and the
	// metadata services that have an address outside the link-local range.
	reserved = []netip.Prefix{
		netip.MustParsePrefix("0.0.0.0/8"),
		netip.MustParsePrefix("255.255.255.255/32"),
		netip.MustParsePrefix("100.100.100.200/32"),
		netip.MustParsePrefix("192.0.0.192/32"),
		netip.MustParsePrefix("168.63.129.16/32"),
		netip.MustParsePrefix("fd00:ec2::254/128"),
		netip.MustParsePrefix("fd20:ce::254/128"),
	}
)

// embedded returns addr in its plain form and the IPv4 addresses that are written inside it.
func embedded(addr netip.Addr) []netip.Addr {
	addr = addr.WithZone("").Unmap()
	addrs := []netip.Addr{addr}
	if !addr.Is6() {
		return addrs
	}
	b := addr.As16()
	switch {
	case nat64.Contains(addr):
		addrs = append(addrs, netip.AddrFrom4([4]byte(b[12:16])))
	case sixTo4.Contains(addr):
		addrs = append(addrs, netip.AddrFrom4([4]byte(b[2:6])))
	case [12]byte(b[:12]) == [12]byte{} && b[12] != 0: // the deprecated ::a.b.c.d
		addrs = append(addrs, netip.AddrFrom4([4]byte(b[12:16])))
	}
	return addrs
}

func special(addr netip.Addr) bool {
	if addr.IsLoopback() || addr.IsLinkLocalUnicast() || addr.IsLinkLocalMulticast() ||
		addr.IsInterfaceLocalMulticast() || addr.IsMulticast() || addr.IsUnspecified() {
		return true
	}
	for _, prefix := range reserved {
		if prefix.Contains(addr) {
			return true
		}
	}
	return false
}
