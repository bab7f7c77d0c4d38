package view

import (
	"cmp"
	"slices"
	"strings"

	"github.com/99designs/gqlgen/graphql"

	"carillon/model"
)

// The enums of the schema are the model's own words wherever those agree.
// Reading is exact: gqlparser lets a variable through in any case.

var (
	sendStatuses    = []model.SendStatus{model.SendScheduled, model.SendExpanding, model.SendSent, model.SendCanceled}
	markStates      = []model.MarkState{model.MarkSeen, model.MarkUnseen, model.MarkRead, model.MarkUnread, model.MarkInteracted, model.MarkArchived, model.MarkUnarchived}
	platforms       = []model.Platform{model.PlatformIOS, model.PlatformAndroid, model.PlatformWeb, model.PlatformOther}
	addressSources  = []model.AddressSource{model.AddressProfile, model.AddressDevice, model.AddressAdded}
	userKinds       = []model.UserKind{model.UserPerson, model.UserAccount}
	propertyTypes   = []model.PropertyType{model.PropertyText, model.PropertyNumber, model.PropertyBoolean, model.PropertyDate, model.PropertyList, model.PropertyObject}
	unknownPolicies = []model.UnknownPolicy{model.UnknownSkip, model.UnknownReject, model.UnknownCreate}
	rungOutcomes    = []model.RungOutcome{model.RungPassed, model.RungAllow, model.RungBlock, model.RungNotReached}
	resetReasons    = []model.ResetReason{model.ResetFirst, model.ResetTooFarBehind, model.ResetUnknownPosition, model.ResetOtherEpoch}
	envKinds        = []model.EnvKind{model.EnvTest, model.EnvLive}
	credentialKinds = []model.CredentialKind{model.CredentialSecretKey, model.CredentialAPISecret, model.CredentialSigningSecret, model.CredentialTokenKey, model.CredentialEngage}
	algorithms      = []model.Algorithm{model.HS256, model.RS256, model.ES256, model.EdDSA}
	blockTypes      = []string{"BUTTON", "IMAGE", "INPUT", "TEXTAREA", "RATING_STAR", "TYPOGRAPHY", "BOX", "CARD", "BLUE_DOT"}
	blockVariants   = []string{"DEFAULT", "PRIMARY", "SECONDARY"}
)

// UserOrderField is what users can be ordered by.
type UserOrderField string

// The fields that users can be ordered by.
const (
	OrderCreatedAt  UserOrderField = "CREATED_AT"
	OrderIdentifier UserOrderField = "IDENTIFIER"
	OrderSignedUpAt UserOrderField = "SIGNED_UP_AT"
	OrderLastSeenAt UserOrderField = "LAST_SEEN_AT"
	OrderEmail      UserOrderField = "EMAIL"
)

// OrderDirection is which way a list runs.
type OrderDirection string

// The directions.
const (
	Ascending  OrderDirection = "ASC"
	Descending OrderDirection = "DESC"
)

// word writes an enum value; the empty one is null.
func word[T ~string](v T) graphql.Marshaler {
	if v == "" {
		return graphql.Null
	}
	return graphql.MarshalString(strings.ToUpper(string(v)))
}

// oneOf reads one of the values, as word writes them.
func oneOf[T ~string](v any, all ...T) (T, error) {
	s, ok := v.(string)
	if ok {
		for _, one := range all {
			if strings.ToUpper(string(one)) == s {
				return one, nil
			}
		}
	}
	names := make([]string, len(all))
	for i, one := range all {
		names[i] = strings.ToUpper(string(one))
	}
	return "", invalid("must be one of %s", strings.Join(names, ", "))
}

// MarshalChannel writes a channel.
func MarshalChannel(c model.Channel) graphql.Marshaler { return graphql.MarshalString(c.String()) }

// UnmarshalChannel reads a channel.
func UnmarshalChannel(v any) (model.Channel, error) {
	s, _ := v.(string)
	c, ok := model.ParseChannel(s)
	if !ok {
		all := model.Channels()
		names := make([]string, len(all))
		for i, c := range all {
			names[i] = c.String()
		}
		return 0, invalid("must be one of %s", strings.Join(names, ", "))
	}
	return c, nil
}

// MarshalReasonCode writes a reason.
func MarshalReasonCode(r model.Reason) graphql.Marshaler { return graphql.MarshalString(r.String()) }

// UnmarshalReasonCode reads a reason.
func UnmarshalReasonCode(v any) (model.Reason, error) {
	var r model.Reason
	s, _ := v.(string)
	if r.UnmarshalText([]byte(s)) != nil {
		return 0, invalid("must be a reason code")
	}
	return r, nil
}

// MarshalSendStatus writes where a send stands.
func MarshalSendStatus(v model.SendStatus) graphql.Marshaler { return word(v) }

// UnmarshalSendStatus reads where a send stands.
func UnmarshalSendStatus(v any) (model.SendStatus, error) { return oneOf(v, sendStatuses...) }

// MarshalMarkState writes a mark.
func MarshalMarkState(v model.MarkState) graphql.Marshaler { return word(v) }

// UnmarshalMarkState reads a mark.
func UnmarshalMarkState(v any) (model.MarkState, error) { return oneOf(v, markStates...) }

// MarshalPlatform writes the kind of a device.
func MarshalPlatform(v model.Platform) graphql.Marshaler { return word(v) }

// UnmarshalPlatform reads the kind of a device.
func UnmarshalPlatform(v any) (model.Platform, error) { return oneOf(v, platforms...) }

// MarshalAddressSource writes where an address comes from.
func MarshalAddressSource(v model.AddressSource) graphql.Marshaler { return word(v) }

// UnmarshalAddressSource reads where an address comes from.
func UnmarshalAddressSource(v any) (model.AddressSource, error) { return oneOf(v, addressSources...) }

// MarshalUserKind writes the kind of a user; none is a person.
func MarshalUserKind(v model.UserKind) graphql.Marshaler { return word(cmp.Or(v, model.UserPerson)) }

// UnmarshalUserKind reads the kind of a user.
func UnmarshalUserKind(v any) (model.UserKind, error) { return oneOf(v, userKinds...) }

// MarshalPropertyType writes the type of an attribute.
func MarshalPropertyType(v model.PropertyType) graphql.Marshaler { return word(v) }

// UnmarshalPropertyType reads the type of an attribute.
func UnmarshalPropertyType(v any) (model.PropertyType, error) { return oneOf(v, propertyTypes...) }

// MarshalUnknownUserPolicy writes a policy.
func MarshalUnknownUserPolicy(v model.UnknownPolicy) graphql.Marshaler { return word(v) }

// UnmarshalUnknownUserPolicy reads a policy.
func UnmarshalUnknownUserPolicy(v any) (model.UnknownPolicy, error) {
	return oneOf(v, unknownPolicies...)
}

// MarshalRungOutcome writes what a rung said.
func MarshalRungOutcome(v model.RungOutcome) graphql.Marshaler { return word(v) }

// UnmarshalRungOutcome reads what a rung said.
func UnmarshalRungOutcome(v any) (model.RungOutcome, error) { return oneOf(v, rungOutcomes...) }

// MarshalResetReason writes why a stream begins anew; none is null.
func MarshalResetReason(v model.ResetReason) graphql.Marshaler { return word(v) }

// UnmarshalResetReason reads why a stream begins anew.
func UnmarshalResetReason(v any) (model.ResetReason, error) { return oneOf(v, resetReasons...) }

// MarshalEnvironment writes the kind of an environment.
func MarshalEnvironment(v model.EnvKind) graphql.Marshaler { return word(v) }

// UnmarshalEnvironment reads the kind of an environment.
func UnmarshalEnvironment(v any) (model.EnvKind, error) { return oneOf(v, envKinds...) }

// MarshalCredentialKind writes what a credential is.
func MarshalCredentialKind(v model.CredentialKind) graphql.Marshaler { return word(v) }

// UnmarshalCredentialKind reads what a credential is.
func UnmarshalCredentialKind(v any) (model.CredentialKind, error) {
	return oneOf(v, credentialKinds...)
}

// MarshalTokenAlgorithm writes an algorithm; none is null.
func MarshalTokenAlgorithm(v model.Algorithm) graphql.Marshaler { return word(v) }

// UnmarshalTokenAlgorithm reads an algorithm.
func UnmarshalTokenAlgorithm(v any) (model.Algorithm, error) { return oneOf(v, algorithms...) }

// MarshalUserErrorCode writes what a caller can do about a user error.
func MarshalUserErrorCode(v model.ProblemCode) graphql.Marshaler { return word(v) }

// UnmarshalUserErrorCode reads a code.
func UnmarshalUserErrorCode(v any) (model.ProblemCode, error) {
	s, err := UnmarshalString(v)
	return model.ProblemCode(s), err
}

// BlockType is what a block is. One that a REST dialect accepted and the schema
// does not know is text.
func BlockType(v string) string {
	if !slices.Contains(blockTypes, v) {
		return "TYPOGRAPHY"
	}
	return v
}

// MarshalBlockType writes what a block is.
func MarshalBlockType(v string) graphql.Marshaler { return word(BlockType(v)) }

// UnmarshalBlockType reads what a block is.
func UnmarshalBlockType(v any) (string, error) { return oneOf(v, blockTypes...) }

// BlockVariant is how a block stands out; the model leaves out the default.
func BlockVariant(v string) string {
	if !slices.Contains(blockVariants, v) {
		return "DEFAULT"
	}
	return v
}

// MarshalBlockVariant writes how a block stands out.
func MarshalBlockVariant(v string) graphql.Marshaler { return word(BlockVariant(v)) }

// UnmarshalBlockVariant reads how a block stands out.
func UnmarshalBlockVariant(v any) (string, error) { return oneOf(v, blockVariants...) }

// MarshalUserOrderField writes a field to order by.
func MarshalUserOrderField(v UserOrderField) graphql.Marshaler { return word(v) }

// UnmarshalUserOrderField reads a field to order by.
func UnmarshalUserOrderField(v any) (UserOrderField, error) {
	return oneOf(v, OrderCreatedAt, OrderIdentifier, OrderSignedUpAt, OrderLastSeenAt, OrderEmail)
}

// MarshalOrderDirection writes a direction.
func MarshalOrderDirection(v OrderDirection) graphql.Marshaler { return word(v) }

// UnmarshalOrderDirection reads a direction.
func UnmarshalOrderDirection(v any) (OrderDirection, error) {
	return oneOf(v, Ascending, Descending)
}

// MarshalErasureStatus writes how far an erasure is.
func MarshalErasureStatus(v model.ErasureStatus) graphql.Marshaler { return word(v) }

// UnmarshalErasureStatus reads how far an erasure is.
func UnmarshalErasureStatus(v any) (model.ErasureStatus, error) {
	return oneOf(v, model.ErasureRunning, model.ErasureDone)
}

// MarshalImportStatus writes how far an import is.
func MarshalImportStatus(v model.ImportStatus) graphql.Marshaler { return word(v) }

// UnmarshalImportStatus reads how far an import is.
func UnmarshalImportStatus(v any) (model.ImportStatus, error) {
	return oneOf(v, model.ImportUploading, model.ImportRunning, model.ImportDone, model.ImportCanceled)
}
