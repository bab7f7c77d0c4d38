// Wires GraphiQL to this server and to the credential chosen in the panel.
'use strict';

(() => {
  const $ = (id) => document.getElementById(id);
  const fields = ['authorization', 'key', 'user', 'signature'];
  const socket = `${location.protocol === 'https:' ? 'wss:' : 'ws:'}//${location.host}/graphql`;
  const root = ReactDOM.createRoot($('graphiql'));
  const typed = [
    { name: 'A secret key or a token', authorization: '' },
    { name: 'A public key and a user', key: '' },
  ];
  let presets = [];

  /** What the panel says now: presets fill the fields, which stay editable. */
  function chosen() {
    const values = Object.fromEntries(fields.map((f) => [f, $(f).value.trim()]));
    if (usesKey()) return { key: values.key, user: values.user, signature: values.signature };
    return { authorization: values.authorization };
  }

  function usesKey() {
    const preset = presets[$('preset').value];
    return Boolean(preset && 'key' in preset);
  }

  function headers({ authorization, key, user, signature }) {
    const all = { Authorization: authorization, 'X-Carillon-Key': key, 'X-Carillon-User': user, 'X-Carillon-Signature': signature };
    return Object.fromEntries(Object.entries(all).filter(([, value]) => value));
  }

  function params(credential) {
    return Object.fromEntries(Object.entries(credential).filter(([, value]) => value));
  }

  function render() {
    const credential = chosen();
    sessionStorage.setItem('credential', JSON.stringify({ preset: $('preset').value, ...credential }));
    const fetcher = GraphiQL.createFetcher({
      url: '/graphql',
      headers: headers(credential),
      subscriptionUrl: socket,
      wsConnectionParams: params(credential),
    });
    root.render(
      React.createElement(GraphiQL, {
        fetcher,
        defaultTabs: window.examples,
        defaultEditorToolsVisibility: 'variables',
        schemaDescription: true,
        inputValueDeprecation: true,
      }),
    );
    tellWho(credential);
  }

  /** Asks the server who the credential is, so that a wrong one shows at once. */
  async function tellWho(credential) {
    if (!Object.keys(headers(credential)).length) {
      $('who').value = 'no credential: the schema can be read, nothing else';
      return;
    }
    const res = await fetch('/graphql', {
      method: 'POST',
      headers: { 'Content-Type': 'application/json', ...headers(credential) },
      body: JSON.stringify({ query: '{ viewer { app { name } environment user { identifier } } }' }),
    }).catch(() => null);
    const answer = await res?.json().catch(() => null);
    const viewer = answer?.data?.viewer;
    $('who').value = viewer
      ? `${viewer.user ? viewer.user.identifier : 'back end'} of ${viewer.app.name}, ${viewer.environment.toLowerCase()}`
      : (answer?.errors?.[0]?.message ?? 'the server does not answer');
  }

  function choose(saved) {
    const preset = presets[$('preset').value] ?? presets[0];
    for (const f of fields) $(f).value = saved?.[f] ?? preset[f] ?? '';
    for (const label of document.querySelectorAll('#credential label[data-for]')) {
      label.hidden = (label.dataset.for === 'key') !== usesKey();
    }
    render();
  }

  async function start() {
    const given = await fetch('/playground/presets.json').then((r) => r.json()).catch(() => []);
    presets = [...given, ...typed];
    presets.forEach((p, i) => $('preset').add(new Option(p.name, i)));
    const saved = JSON.parse(sessionStorage.getItem('credential') ?? 'null');
    if (saved && presets[saved.preset]) $('preset').value = saved.preset;
    $('preset').addEventListener('change', () => choose(null));
    $('credential').addEventListener('submit', (e) => e.preventDefault());
    for (const f of fields) $(f).addEventListener('change', render);
    choose(saved && presets[saved.preset] ? saved : null);
  }

  start();
})();
