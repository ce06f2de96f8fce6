// The annotation library asks for its build's mode by a name that browsers do not have.
/** @type {any} */ (globalThis).process ??= { env: { NODE_ENV: 'production' } };
