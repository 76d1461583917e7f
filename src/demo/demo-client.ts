/** The public client that the first start outside production registers and the demonstration pages play. */
export const DEMO_CLIENT_ID = 'demo'

/** Where the demonstration receives the code. */
export const demoCallback = (issuer: string): string => `${issuer}/demo/callback`

/** Where a sign-out returns to. */
export const demoHome = (issuer: string): string => `${issuer}/demo`
