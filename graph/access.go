package graph

import (
	"context"
	"strings"

	"carillon/auth"
	"carillon/model"
)

// forApplications are the root fields that only a secret key may use. The
// others are for users too, on their own data. The schema's text says which by
// "Secret key only."; a test compares them.
var forApplications = map[string]bool{
	"Query.users": true, "Query.notifications": true, "Query.send": true, "Query.sends": true, "Query.scheduledSends": true,
	"Query.topics": true, "Query.properties": true, "Query.credentials": true, "Query.serverStatus": true,
	"Mutation.identifyUsers": true, "Mutation.setUserEnabled": true, "Mutation.deleteUser": true, "Mutation.eraseUser": true, "Query.erasure": true, "Query.import": true, "Mutation.cancelImport": true, "Query.exportUser": true,
	"Mutation.updateUser": true, "Mutation.mergeUsers": true, "Mutation.joinAccount": true, "Mutation.leaveAccount": true, "Mutation.trackEvents": true, "Mutation.setProperty": true,
	"Mutation.addAddress": true, "Mutation.setAddressEnabled": true, "Mutation.removeAddress": true,
	"Mutation.createCategory": true, "Mutation.updateCategory": true, "Mutation.deleteCategory": true,
	"Query.templates": true, "Query.template": true,
	"Mutation.createTemplate": true, "Mutation.updateTemplate": true, "Mutation.deleteTemplate": true, "Mutation.previewTemplate": true,
	"Query.segments": true, "Query.segment": true, "Query.previewSegment": true,
	"Mutation.createSegment": true, "Mutation.updateSegment": true, "Mutation.deleteSegment": true, "Mutation.setSegmentSuppression": true,
	"Mutation.createTopic": true, "Mutation.updateTopic": true, "Mutation.deleteTopic": true,
	"Mutation.subscribeToTopic": true, "Mutation.unsubscribeFromTopic": true,
	"Mutation.sendNotification": true, "Mutation.cancelSend": true, "Mutation.recallSend": true, "Mutation.recallNotifications": true,
	"Mutation.createCredential": true, "Mutation.rotateCredential": true, "Mutation.revokeCredential": true,
	"Query.deliveries": true, "Query.providerKinds": true, "Query.providers": true, "Query.suppressions": true,
	"Mutation.createProvider": true, "Mutation.updateProvider": true, "Mutation.deleteProvider": true, "Mutation.orderProviders": true,
	"Mutation.testProvider": true, "Mutation.retryDelivery": true, "Mutation.retryDeliveries": true,
	"Mutation.suppressAddress": true, "Mutation.removeSuppression": true,
	"Query.webhookEndpoints": true, "Query.webhookEvents": true,
	"Mutation.createWebhookEndpoint": true, "Mutation.updateWebhookEndpoint": true, "Mutation.rotateWebhookSecret": true, "Mutation.deleteWebhookEndpoint": true,
	"Mutation.replayWebhookEvent": true, "Mutation.replayWebhookEvents": true,
	"Subscription.sendProgress": true, "Subscription.deliveries": true,
}

// authorize says whether the caller may use a root field at all. It is asked
// before anything of an operation is validated or runs, also for fields that
// the schema does not have.
func authorize(ctx context.Context, field string) error {
	caller, err := auth.Require(ctx)
	if err != nil {
		return err
	}
	if caller.Kind != auth.Secret && forApplications[field] {
		_, name, _ := strings.Cut(field, ".")
		return model.Errorf(model.KindForbidden, "%s needs a secret key; a user's credential will not do", name)
	}
	return nil
}
