package receipts

import "carillon/rest"

// The pages behind a link for unsubscribing.
const (
	question rest.Page = head + `<h1>Unsubscribe?</h1>
<p>You will get no more messages of this kind by e-mail.</p>
<form method="post"><button>Unsubscribe</button></form>
`
	done rest.Page = head + `<h1>You are unsubscribed</h1>
<p>You will get no more messages of this kind by e-mail.</p>
`
	head = `<!doctype html>
<html lang="en">
<meta charset="utf-8">
<meta name="viewport" content="width=device-width">
<meta name="robots" content="noindex">
<title>Unsubscribe</title>
`
)
