package engagespot

import (
	"net/http"

	"carillon/model"
	"carillon/rest"
)

// registered is the answer to the registration of a browser for web pushes.
type registered struct {
	DeviceID string `json:"deviceId"`
	done
}

// registerWebPush keeps a browser's subscription with its device.
func (a *API) registerWebPush(r *http.Request) (int, any, error) {
	c, err := knownUser(r.Context())
	if err != nil {
		return 0, nil, err
	}
	body, err := rest.Body(r, rest.MaxBody)
	if err != nil {
		return 0, nil, err
	}
	if body == nil {
		return 0, nil, model.Errorf(model.KindInvalid, "the body must be the browser's PushSubscription: endpoint and keys")
	}
	once, err := rest.Once(r, c, "registerDevice", body)
	if err != nil {
		return 0, nil, err
	}
	device := model.DeviceInput{Key: r.PathValue("deviceId"), Platform: model.PlatformWeb, WebPush: body}
	out, err := a.Users.RegisterDevice(r.Context(), c.Env.ID, once, c.UserID, device)
	if err != nil {
		return 0, nil, named(err, [2]string{"webPushSubscription", ""})
	}
	return http.StatusOK, registered{out.Value.Key, said("the browser was registered")}, nil
}

// realtimeToken is asked for by clients that were told to get their live
// updates from Ably, which a server of one's own has not.
func (a *API) realtimeToken(*http.Request) (int, any, error) {
	return 0, nil, &rest.Error{Status: http.StatusNotImplemented, Message: "this server has no Ably: leave rtmService out, and live updates come over socket.io from here"}
}

// cancelWorkflow stops the runs of a workflow that wait. There are no workflows
// here, so none does.
func (a *API) cancelWorkflow(r *http.Request) (int, any, error) {
	body, err := rest.Body(r, rest.MaxBody)
	if err != nil {
		return 0, nil, err
	}
	var check model.Check
	in := rest.Object(body, &check)
	in.Required("cancellationKey")
	in.Text("cancellationKey")
	in.Object("cancelFor").Texts("recipients")
	if err := check.Err(); err != nil {
		return 0, nil, err
	}
	return 0, nil, model.Errorf(model.KindNotFound, "there is no such workflow: this server runs none, so there is no run to cancel")
}
