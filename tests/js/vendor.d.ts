// The browser finds the pinned packages under /static/vendor (recognition/settings.py); the type checker finds them here.
declare module '*/vendor/annotorious/annotorious.es.js' {
  export * from '@annotorious/annotorious';
}
