// The version that is told to servers and people.

/** The same as in package.json; a test holds them together. */
export const VERSION = '0.1.0'
