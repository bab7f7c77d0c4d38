// Package fyno speaks the dialect of Fyno's user profiles, so that clients
// written for it work here. It translates to the services that GraphQL uses, and
// has no rules of its own:
//
//   - A profile is a user, a version ("test" or "live") an environment, and a
//     workspace an app. The key tells both; the path must not say otherwise.
//   - sms is the phone number of the profile and email its e-mail address;
//     whatsapp, voice, slack, discord and teams are addresses, push and webpush
//     devices.
//   - A subscription topic is a category, and a notification event is the
//     template of its name, in the category of its name where there is one.
//   - Suppressions are of addresses: one of a profile is of those that the
//     profile has at that moment.
//
// It does not know of sections, integrations or callbacks: what clients say of
// them is kept, and shown again where Fyno shows it. What differs stands in
// docs/moving/fyno.md.
package fyno
