package definition

type parameterDoc struct {
	Name        parameterName `json:"name" jsonschema:"required"`
	Type        ParameterType `json:"type" jsonschema:"required,enum=string,enum=integer,enum=number,enum=boolean,enum=date,enum=timestamp"`
	Required    bool          `json:"required" jsonschema_description:"Whether an execution must give a value."`
	Default     *scalar       `json:"default" jsonschema_description:"The value where none is given."`
	Description string        `json:"description"`
}

func (b *builder) parameters(docs []parameterDoc, at *path) []Parameter {
	var list []Parameter
	seen := map[string]bool{}
	for i, doc := range docs {
		p := Parameter{Name: string(doc.Name), Type: doc.Type, Required: doc.Required, Description: doc.Description}
		below := at.item(i)
		if seen[p.Name] && p.Name != "" {
			b.add(below.at("name"), "%s is declared twice", quote(p.Name))
		}
		seen[p.Name] = true
		if doc.Default != nil && !b.has(below.at("default")) {
			p.Default = doc.Default.raw
			if doc.Required {
				b.add(below.at("default"), "is of no use where the parameter is required")
			} else if doc.Type != "" {
				if _, err := newValue(doc.Type, doc.Default.kind, doc.Default.text); err != nil {
					b.add(below.at("default"), "%v", err)
				}
			}
		}
		list = append(list, p)
	}
	return list
}
