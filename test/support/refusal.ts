import { AppError } from '../../src/errors.ts'

/** The AppError that a promise is rejected with; anything else fails the test. */
export async function refusal(promise: Promise<unknown>): Promise<AppError> {
  const outcome = await promise.then(
    () => new Error('it was not refused'),
    (error: unknown) => error,
  )
  if (outcome instanceof AppError) return outcome
  throw outcome
}
