package graph

import (
	"context"
	"time"

	"carillon/app"
	"carillon/auth"
	"carillon/graph/generated"
	"carillon/graph/view"
	"carillon/model"
)

func (q *query) Credentials(ctx context.Context) ([]*view.Credential, error) {
	caller, err := auth.RequireSecret(ctx)
	if err != nil {
		return nil, err
	}
	cs, err := q.Apps.Credentials(ctx, caller.Env.ID)
	return view.Credentials(cs), err
}

func (m *mutation) CreateCredential(ctx context.Context, in generated.CreateCredentialInput) (*generated.CreateCredentialPayload, error) {
	p := &generated.CreateCredentialPayload{}
	d, err := byApplication(ctx, take(&in.IdempotencyKey), in)
	var out model.Outcome[model.IssuedCredential]
	if err == nil {
		out, err = m.Apps.CreateCredential(ctx, d.env, d.once, model.NewCredential{
			Kind: in.Kind, Name: value(in.Name), Secret: value(in.Secret), PublicKey: value(in.PublicKey), ExpiresAt: value(in.ExpiresAt),
		})
	}
	if stop, err := refused(err, &p.UserErrors); stop {
		return p, err
	}
	m.credentialsChanged(d.env)
	p.Credential, p.Secret, p.Replayed = view.NewCredential(out.Value.Credential), shownSecret(out.Value.Secret, out.Replayed), out.Replayed
	return p, nil
}

// shownSecret is a new secret, this once.
func shownSecret(secret string, replayed bool) *string {
	if secret == "" || replayed {
		return nil
	}
	return &secret
}

func (m *mutation) RotateCredential(ctx context.Context, in generated.RotateCredentialInput) (*generated.RotateCredentialPayload, error) {
	p := &generated.RotateCredentialPayload{}
	d, err := byApplication(ctx, take(&in.IdempotencyKey), in)
	var id model.CredentialID
	if err == nil {
		id, err = credentialID(in.ID)
	}
	var out model.Outcome[app.RotationIssued]
	if err == nil {
		out, err = m.Apps.RotateCredential(ctx, d.env, d.once, id, time.Duration(in.OverlapSeconds)*time.Second)
		err = elsewhere(err, unknownID("id"))
	}
	if stop, err := refused(err, &p.UserErrors); stop {
		return p, err
	}
	if in.OverlapSeconds == 0 {
		m.credentialsChanged(d.env, id)
	} else {
		m.credentialsChanged(d.env)
	}
	p.Credential, p.Replaced = view.NewCredential(out.Value.New), view.NewCredential(out.Value.Replaced)
	p.Secret, p.Replayed = shownSecret(out.Value.Secret, out.Replayed), out.Replayed
	return p, nil
}

func (m *mutation) RevokeCredential(ctx context.Context, in generated.RevokeCredentialInput) (*generated.RevokeCredentialPayload, error) {
	p := &generated.RevokeCredentialPayload{}
	d, err := byApplication(ctx, take(&in.IdempotencyKey), in)
	var id model.CredentialID
	if err == nil {
		id, err = credentialID(in.ID)
	}
	var out model.Outcome[model.Credential]
	if err == nil {
		out, err = m.Apps.RevokeCredential(ctx, d.env, d.once, id)
		err = elsewhere(err, unknownID("id"))
	}
	if stop, err := refused(err, &p.UserErrors); stop {
		return p, err
	}
	m.credentialsChanged(d.env, id)
	p.Credential, p.Replayed = view.NewCredential(out.Value), out.Replayed
	return p, nil
}

// credentialID reads the id of a credential.
func credentialID(s string) (model.CredentialID, error) {
	ref, ok := view.ParseRef(s)
	if !ok || ref.Kind != view.KindCredential {
		return "", unknownID("id")
	}
	return model.CredentialID(ref.Text), nil
}
