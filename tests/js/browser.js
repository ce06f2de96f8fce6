// Stand-ins for what the tested modules need of a browser.

/** Set up window, document and localStorage; returns them, and a `fetch` whose answers a test gives. */
export function installBrowser({ stored = {} } = {}) {
  const storage = new Map(Object.entries(stored));
  const localStorage = new Proxy(
    {
      getItem: (key) => storage.get(key) ?? null,
      setItem: (key, value) => storage.set(key, value),
      removeItem: (key) => storage.delete(key),
    },
    {
      ownKeys: () => [...storage.keys()],
      getOwnPropertyDescriptor: () => ({ enumerable: true, configurable: true }),
    },
  );
  const page = Object.assign(new EventTarget(), { hidden: false, cookie: 'csrftoken=token' });
  page.querySelector = () => null;
  const window = Object.assign(new EventTarget(), { localStorage });
  Object.assign(globalThis, { window, document: page });
  const requests = [];
  const answers = [];
  globalThis.fetch = async (url, options = {}) => {
    requests.push({ url, method: options.method ?? 'GET', body: options.body && JSON.parse(options.body) });
    const answer = (await answers.shift()) ?? { status: 200, body: {} };
    if (answer instanceof Error) throw answer;
    return { status: answer.status, text: async () => answer.text ?? JSON.stringify(answer.body) };
  };
  return { window, document: page, storage, requests, answers };
}

/** Let everything run that waits for no timer. */
export async function settle() {
  for (let turn = 0; turn < 5; turn += 1) await new Promise((resolve) => setImmediate(resolve));
}
