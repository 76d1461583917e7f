/** What may accompany an intent: small facts, never a code, a token or a text. */
export type IntentData = Readonly<Record<string, string | number | boolean>>

/** The durable wish that somebody be mailed. What is said, and whether at all, is decided when it is delivered. */
export interface NewIntent {
  /** Which handler delivers it, such as "password-reset". */
  kind: string
  /** The address that was named, known or not. */
  email?: string | undefined
  accountId?: string | undefined
  data?: IntentData | undefined
}

export interface Intent {
  /** UUIDv7; the same at every attempt. */
  id: string
  kind: string
  email: string | undefined
  accountId: string | undefined
  data: IntentData
  /** Begun so far, this one included. */
  attempts: number
  createdAt: Date
}

/** Resolves when the intent is done with: sent, or nothing to send. Throws to be asked again later. */
export type Deliver = (intent: Intent) => Promise<void>
