package view

import "carillon/model"

// Credential is a key or secret of an environment, without the secret.
type Credential struct{ model.Credential }

// NewCredential shows a credential.
func NewCredential(c model.Credential) *Credential { return &Credential{c} }

// Credentials shows several.
func Credentials(cs []model.Credential) []*Credential {
	out := make([]*Credential, len(cs))
	for i, c := range cs {
		out[i] = NewCredential(c)
	}
	return out
}

// IsNode marks a Node.
func (*Credential) IsNode() {}

// ID is the opaque id.
func (c *Credential) ID() string { return CredentialID(c.Credential.ID) }

// KeyID is the kid of the tokens it verifies.
func (c *Credential) KeyID() string { return string(c.Credential.ID) }

// PublicKey is the PEM of a token key.
func (c *Credential) PublicKey() *string { return text(c.Credential.PublicKey) }

// App is a customer's product, as one of its environments sees it.
type App struct{ model.Environment }

// NewApp shows the app of an environment.
func NewApp(e model.Environment) *App { return &App{e} }

// IsNode marks a Node.
func (*App) IsNode() {}

// ID is the opaque id.
func (a *App) ID() string { return Ref{Kind: KindApp, Number: int64(a.AppID)}.String() }

// Number is the id as text.
func (a *App) Number() string { return number(int64(a.AppID)) }

// Name is what the operator called it.
func (a *App) Name() string { return a.AppName }
