// The one place that says which version this is; test/cli holds it against package.json.
export const VERSION = '0.1.0'
