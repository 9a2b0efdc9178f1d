package definition

import (
	"bytes"
	"errors"
	"io"
	"regexp"
	"strings"

	"gopkg.in/yaml.v3"

	"github.com/matih/pipeline-service/models"
)

// maxFromYAML bounds the JSON, in bytes, that a YAML document's aliases may grow to.
const maxFromYAML = 8 << 20

// Plain scalars by YAML 1.2's core schema. Others are text: dates, yes, no, on and off among them.
var (
	yamlNumber = regexp.MustCompile(`^[-+]?(?:[0-9]+(?:\.[0-9]*)?|\.[0-9]+)(?:[eE][-+]?[0-9]+)?$`)
	yamlBased  = regexp.MustCompile(`^0[ox][0-9a-fA-F]+$`)
	yamlZeroes = regexp.MustCompile(`^[-+]?0[0-9]`)
	yamlBeyond = regexp.MustCompile(`^(?:[-+]?\.(?:inf|Inf|INF)|\.(?:nan|NaN|NAN))$`)
)

// FromYAML turns one YAML document into JSON with the keys in their order. It reads YAML 1.2's core
// schema and refuses what JSON cannot say or what YAML 1.1 and 1.2 read differently: duplicate keys
// and keys that are not text, merge keys, several documents, tags of other types, .nan and .inf,
// numbers with leading zeroes; and aliases that grow without measure. The error is a *models.Error
// with CodeInvalidRequest and locations below "body".
func FromYAML(doc []byte) ([]byte, error) {
	c := yamlConverter{}
	root := newPath("body")
	if n := c.parse(doc, root); n != nil {
		c.value(n, root, 0)
	}
	if err := c.err(models.CodeInvalidRequest, "the YAML document"); err != nil {
		return nil, err
	}
	return c.out.Bytes(), nil
}

type yamlConverter struct {
	mistakes
	out     bytes.Buffer
	stopped bool
}

// parse gives the one document's node.
func (c *yamlConverter) parse(doc []byte, at *path) *yaml.Node {
	dec := yaml.NewDecoder(bytes.NewReader(doc))
	var n, more yaml.Node
	err := dec.Decode(&n)
	switch {
	case errors.Is(err, io.EOF) || err == nil && len(n.Content) == 0:
		c.add(at, "is empty")
		return nil
	case err != nil:
		c.add(at, "is not YAML: %s", strings.TrimPrefix(err.Error(), "yaml: "))
		return nil
	}
	switch err := dec.Decode(&more); {
	case err == nil:
		c.add(at, "must be a single document; line %d begins another", more.Line)
		return nil
	case !errors.Is(err, io.EOF):
		c.add(at, "is not YAML: %s", strings.TrimPrefix(err.Error(), "yaml: "))
		return nil
	}
	return n.Content[0]
}

func (c *yamlConverter) value(n *yaml.Node, at *path, depth int) {
	switch {
	case c.stopped:
		return
	case depth > maxDepth:
		c.stop(at, "is nested deeper than %d levels", maxDepth)
		return
	case c.out.Len() > maxFromYAML:
		c.stop(at, "grows beyond %d MiB", maxFromYAML>>20)
		return
	}
	switch n.Kind {
	case yaml.AliasNode:
		c.value(n.Alias, at, depth+1)
	case yaml.SequenceNode:
		c.tagged(n, "!!seq", at)
		c.out.WriteByte('[')
		for i, item := range n.Content {
			if i > 0 {
				c.out.WriteByte(',')
			}
			c.value(item, at.item(i), depth+1)
		}
		c.out.WriteByte(']')
	case yaml.MappingNode:
		c.tagged(n, "!!map", at)
		c.mapping(n, at, depth)
	default:
		c.scalar(n, at)
	}
}

func (c *yamlConverter) stop(at *path, format string, args ...any) {
	c.add(at, format, args...)
	c.stopped = true
}

// tagged refuses collections with a tag of another type.
func (c *yamlConverter) tagged(n *yaml.Node, tag string, at *path) {
	if n.Style&yaml.TaggedStyle != 0 && n.ShortTag() != tag {
		c.add(at, "line %d: the tag %s is not supported", n.Line, quote(n.Tag))
	}
}

func (c *yamlConverter) mapping(n *yaml.Node, at *path, depth int) {
	seen := map[string]int{}
	c.out.WriteByte('{')
	for i := 0; i+1 < len(n.Content); i += 2 {
		key := n.Content[i]
		if key.Kind == yaml.AliasNode {
			key = key.Alias
		}
		if key.Kind != yaml.ScalarNode || yamlKind(key) != kindText {
			c.add(at, "line %d: a key must be text; put it in quotes", n.Content[i].Line)
			continue
		}
		below := at.at(key.Value)
		switch line, again := seen[key.Value]; {
		case again:
			c.add(below, "line %d: is given twice, first on line %d", n.Content[i].Line, line)
		case key.Value == "<<" && key.Style == 0:
			c.add(below, "line %d: merge keys are not part of YAML 1.2", n.Content[i].Line)
		}
		seen[key.Value] = n.Content[i].Line
		if i > 0 {
			c.out.WriteByte(',')
		}
		c.text(key, below)
		c.out.WriteByte(':')
		c.value(n.Content[i+1], below, depth+1)
	}
	c.out.WriteByte('}')
}

func (c *yamlConverter) scalar(n *yaml.Node, at *path) {
	if tag := n.ShortTag(); n.Style&yaml.TaggedStyle != 0 && tag != "!!str" {
		c.add(at, "line %d: the tag %s is not supported", n.Line, quote(n.Tag))
		return
	}
	switch yamlKind(n) {
	case kindNull:
		c.out.WriteString("null")
	case kindBoolean:
		c.out.WriteString(strings.ToLower(n.Value))
	case kindNumber:
		c.number(n, at)
	default:
		c.text(n, at)
	}
}

func (c *yamlConverter) text(n *yaml.Node, at *path) {
	if strings.IndexByte(n.Value, 0) >= 0 {
		c.add(at, "line %d: holds a NUL character", n.Line)
	}
	writeText(&c.out, n.Value)
}

// number writes a number as JSON does.
func (c *yamlConverter) number(n *yaml.Node, at *path) {
	s := n.Value
	switch {
	case yamlBeyond.MatchString(s):
		c.add(at, "line %d: %s has no place in JSON", n.Line, quote(s))
		return
	case yamlBased.MatchString(s) || yamlZeroes.MatchString(s):
		c.add(at, "line %d: %s is read differently by YAML 1.1 and 1.2; write it in decimal, or in quotes if it is text", n.Line, quote(s))
		return
	case !finite(s):
		c.add(at, "line %d: %s is beyond the range of numbers", n.Line, quote(s))
		return
	}
	s = strings.TrimPrefix(s, "+")
	mantissa, exponent, hasExponent := strings.Cut(strings.ToLower(s), "e")
	mantissa = strings.TrimSuffix(mantissa, ".")
	if digits, negative := strings.CutPrefix(mantissa, "-"); strings.HasPrefix(digits, ".") {
		mantissa = "0" + digits
		if negative {
			mantissa = "-" + mantissa
		}
	}
	c.out.WriteString(mantissa)
	if hasExponent {
		c.out.WriteString("e" + exponent)
	}
}

// yamlKind is what a scalar is: by its form where it is plain, else text.
func yamlKind(n *yaml.Node) kind {
	if n.Style&^yaml.FlowStyle != 0 { // quoted, a block, or tagged as text
		return kindText
	}
	switch s := n.Value; {
	case s == "" || s == "~" || s == "null" || s == "Null" || s == "NULL":
		return kindNull
	case s == "true" || s == "True" || s == "TRUE" || s == "false" || s == "False" || s == "FALSE":
		return kindBoolean
	case yamlNumber.MatchString(s) || yamlBased.MatchString(s) || yamlBeyond.MatchString(s):
		return kindNumber
	default:
		return kindText
	}
}
