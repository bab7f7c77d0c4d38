// What an application's back end asks of the Engagespot dialect.

/** Calls a route with the application's key and secret. */
export function backEnd(w) {
  const call = async (method, path, body) => {
    const res = await fetch(w.server.http + '/v3' + path, {
      method,
      headers: { 'content-type': 'application/json', 'x-engagespot-api-key': w.app.apiKey, 'x-engagespot-api-secret': w.app.apiSecret },
      body: body === undefined ? undefined : JSON.stringify(body),
    });
    const answer = await res.json();
    if (!res.ok) throw new Error(`${method} ${path}: ${res.status} ${JSON.stringify(answer)}`);
    return answer;
  };
  return {
    call,
    send: (user, title, more = {}) =>
      call('POST', '/notifications', { notification: { title, message: `About ${title}.`, ...more }, sendTo: { recipients: [user] } }),
    list: (user, query = '') => call('GET', `/notifications?userIdentifier=${encodeURIComponent(user)}${query}`),
  };
}

/**
 * Code for a page: spy(object, methods) notes in window.calls each of the
 * methods that is called, by its path.
 */
export const spy = `
  window.calls = [];
  window.spy = (object, methods, prefix = '') => {
    for (const path of methods) {
      const names = path.split('.');
      const name = names.pop();
      const owner = names.reduce((o, n) => o?.[n], object);
      const real = owner?.[name];
      if (typeof real !== 'function') throw new Error('there is no method ' + prefix + path);
      owner[name] = function (...args) {
        window.calls.push(prefix + path);
        return real.apply(this, args);
      };
    }
    return object;
  };
`;
