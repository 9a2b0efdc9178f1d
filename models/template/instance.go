package template

import (
	"bytes"
	"encoding/json"
	"errors"
	"slices"

	"github.com/matih/pipeline-service/models"
	"github.com/matih/pipeline-service/models/definition"
)

// Instance is a template's definition with parameters and customizations put in.
type Instance struct {
	draft *definition.Draft
	// Mistakes are what is wrong with the parameters and customizations. Where there are none, the definition can
	// still be wrong, which its parser finds.
	Mistakes []models.Mistake
}

// Instantiate puts parameters and customizations, JSON objects or nil, into the template's definition. Mistakes
// are located below body.parameters and body.customizations.
func (t Template) Instantiate(parameters, customizations json.RawMessage) (*Instance, error) {
	const at, customizationsAt = "body.parameters", "body.customizations"
	draft, err := definition.NewDraft(t.Definition)
	if err != nil {
		return nil, err
	}
	i := &Instance{draft: draft}
	if err := i.note(definition.CheckParameters(t.declared(), parameters, "template", at)); err != nil {
		return nil, err
	}
	draft.Fill(t.values(parameters, i.Mistakes, at), at)
	if len(bytes.TrimSpace(customizations)) > 0 {
		if err := i.note(draft.Customize(customizations, customizationsAt)); err != nil {
			return nil, err
		}
	}
	return i, nil
}

// note keeps an error's mistakes and gives back an error that has none.
func (i *Instance) note(err error) error {
	var known *models.Error
	if errors.As(err, &known) && len(known.Mistakes) > 0 {
		i.Mistakes = append(i.Mistakes, known.Mistakes...)
		return nil
	}
	return err
}

// declared are the parameters in the types that definitions have.
func (t Template) declared() []definition.Parameter {
	list := slices.Clone(t.Parameters)
	for i := range list {
		if list[i].Type == typeConnection {
			list[i].Type = definition.ParameterString
		}
	}
	return list
}

// values are the defaults and what was given instead, without what is wrong.
func (t Template) values(parameters json.RawMessage, mistakes []models.Mistake, at string) map[string]json.RawMessage {
	var given map[string]json.RawMessage
	_ = json.Unmarshal(parameters, &given) // what is no object has been said
	values := map[string]json.RawMessage{}
	for _, p := range t.Parameters {
		value, ok := given[p.Name]
		if !ok {
			value = p.Default
		}
		wrong := slices.ContainsFunc(mistakes, func(m models.Mistake) bool { return m.Location == at+"."+p.Name })
		if value != nil && !wrong {
			values[p.Name] = value
		}
	}
	return values
}

// Definition is the document that was made.
func (i *Instance) Definition() json.RawMessage { return i.draft.JSON() }

// Blame gives mistakes of the definition, which are located below at, at the parameter or customization that made
// them.
func (i *Instance) Blame(mistakes []models.Mistake, at string) []models.Mistake {
	return i.draft.Blame(mistakes, at)
}
