package operation

import (
	"errors"
	"math"
	"strconv"

	"github.com/vektah/gqlparser/v2/ast"
	"github.com/vektah/gqlparser/v2/gqlerror"
	"github.com/vektah/gqlparser/v2/validator/core"
	"github.com/vektah/gqlparser/v2/validator/rules"
)

// validator checks documents against one schema.
type validator struct {
	schema *ast.Schema
	rules  []core.Rule
	errors int // where validation stops
}

// newValidator returns the rules of the specification and of this package.
// Without suggest no message names what else the schema has.
func newValidator(schema *ast.Schema, suggest bool, maxErrors int) *validator {
	v := &validator{schema: schema, errors: maxErrors, rules: []core.Rule{
		rules.FragmentsOnCompositeTypesRule,
		rules.KnownDirectivesRule,
		rules.KnownFragmentNamesRule,
		rules.KnownRootTypeRule,
		rules.LoneAnonymousOperationRule,
		rules.MaxIntrospectionDepth,
		rules.NoFragmentCyclesRule,
		rules.NoUndefinedVariablesRule,
		rules.NoUnusedFragmentsRule,
		rules.NoUnusedVariablesRule,
		rules.OverlappingFieldsCanBeMergedRule,
		rules.PossibleFragmentSpreadsRule,
		rules.ProvidedRequiredArgumentsRule,
		rules.SingleFieldSubscriptionsRule,
		rules.UniqueArgumentNamesRule,
		rules.UniqueDirectivesPerLocationRule,
		rules.UniqueFragmentNamesRule,
		rules.UniqueInputFieldNamesRule,
		rules.UniqueOperationNamesRule,
		rules.UniqueVariableNamesRule,
		rules.VariablesAreInputTypesRule,
		rules.VariablesInAllowedPositionRule,
		numbersFit,
	}}
	if suggest {
		v.rules = append(v.rules,
			rules.FieldsOnCorrectTypeRule,
			rules.KnownArgumentNamesRule,
			rules.KnownTypeNamesRule,
			rules.ScalarLeafsRule,
			rules.ValuesOfCorrectTypeRule)
	} else {
		v.rules = append(v.rules,
			rules.FieldsOnCorrectTypeRuleWithoutSuggestions,
			rules.KnownArgumentNamesRuleWithoutSuggestions,
			rules.KnownTypeNamesRuleWithoutSuggestions,
			rules.ScalarLeafsRuleWithoutSuggestions,
			rules.ValuesOfCorrectTypeRuleWithoutSuggestions)
	}
	return v
}

// enough stops a walk that has found all the errors that will be shown.
type enough struct{}

// validate checks a document and sets the definitions in it, which execution
// needs. It also returns the variables that must not be null.
func (v *validator) validate(doc *ast.QueryDocument) (notNull []string, errs gqlerror.List) {
	defer func() {
		if p := recover(); p != nil {
			if _, ok := p.(enough); !ok {
				panic(p)
			}
		}
	}()
	events := &core.Events{}
	for _, rule := range v.rules {
		rule.RuleFunc(events, func(options ...core.ErrorOption) {
			err := &gqlerror.Error{Rule: rule.Name}
			for _, option := range options {
				option(err)
			}
			if errs = append(errs, coded(CodeValidationFailed, err)...); len(errs) >= v.errors {
				panic(enough{})
			}
		})
	}
	seen := map[string]bool{}
	events.OnValue(func(_ *core.Walker, value *ast.Value) {
		if defaulted(value) && !seen[value.Raw] {
			seen[value.Raw] = true
			notNull = append(notNull, value.Raw)
		}
	})
	core.Walk(v.schema, doc, events)
	return notNull, errs
}

// defaulted reports whether a value is a variable that may be null by its type
// at a place that may not: allowed, because a default fills the gap when the
// variable is left out.
func defaulted(v *ast.Value) bool {
	return v.Kind == ast.Variable && v.ExpectedType != nil && v.ExpectedType.NonNull &&
		v.VariableDefinition != nil && !v.VariableDefinition.Type.NonNull
}

// numbersFit refuses the literals that the other rules let through and
// execution cannot hold: integers beyond 32 bits for an Int, numbers beyond
// what a float can be.
var numbersFit = core.Rule{
	Name: "NumbersFit",
	RuleFunc: func(events *core.Events, addError core.AddErrFunc) {
		events.OnValue(func(_ *core.Walker, v *ast.Value) {
			var err error
			switch {
			case v.Kind == ast.IntValue && v.Definition != nil && v.Definition.Name == "Int":
				_, err = strconv.ParseInt(v.Raw, 10, 32)
			case v.Kind == ast.IntValue:
				_, err = strconv.ParseInt(v.Raw, 10, 64)
			case v.Kind == ast.FloatValue:
				var f float64
				if f, err = strconv.ParseFloat(v.Raw, 64); math.IsInf(f, 0) {
					err = strconv.ErrRange
				}
			}
			if errors.Is(err, strconv.ErrRange) {
				addError(core.Message("The number %s is too large for its place.", shorten(v.Raw)), core.At(v.Position))
			}
		})
	},
}

// gqlError is err as the parser's own type, which it is.
func gqlError(err error) *gqlerror.Error {
	if e, ok := errors.AsType[*gqlerror.Error](err); ok {
		return e
	}
	return &gqlerror.Error{Message: err.Error()}
}
