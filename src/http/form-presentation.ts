import type { FormPage, FormProblem } from './page-data.ts'

/** A field as its template prints it, besides its label and kind. */
export interface FieldView {
  id: string
  value: string
  /** What is wrong with it, under `form.fault` in the dictionaries. */
  fault: string | undefined
  isInvalid: boolean
  hasHint: boolean
  /** The ids of everything that describes it. */
  describedBy: string | undefined
  isFocused: boolean
}

/** A problem that one field has by its nature, though no single fault names it. */
const FIELDS_OF_PROBLEM: Partial<Record<FormProblem['kind'], readonly string[]>> = {
  invalid_code: ['code'],
  wrong_password: ['current_password'],
  conflict: ['username'],
  unconfirmed: ['confirm'],
}

export interface FormLayout {
  /** Fields with a hint below their label. */
  hints?: readonly string[]
  /** Whether the first empty field takes the focus; not where the page offers more than the form. */
  takesFocus?: boolean
}

/** A form with its fields by their ids, in the order of the page. */
export function presentForm(
  data: FormPage,
  ids: readonly string[],
  { hints = [], takesFocus = true }: FormLayout = {},
) {
  const { problem, values } = data
  // Never away from an error summary, which then has the focus.
  const focused = takesFocus && !problem ? ids.find((id) => !values[id]) : undefined
  const fields = ids.map((id): FieldView => {
    const fault = problem?.faults?.[id]
    const isInvalid = fault !== undefined || (problem && FIELDS_OF_PROBLEM[problem.kind]?.includes(id)) === true
    const hasHint = hints.includes(id)
    const descriptions = [hasHint ? `${id}-hint` : '', fault ? `${id}-fault` : isInvalid ? 'summary' : '']
    const describedBy = descriptions.filter(Boolean).join(' ') || undefined
    return { id, value: values[id] ?? '', fault, isInvalid, hasHint, describedBy, isFocused: id === focused }
  })
  return {
    ...data,
    fields: Object.fromEntries(fields.map((field) => [field.id, field])),
    problem: problem && {
      kind: problem.kind,
      faults: fields.filter(({ fault }) => fault !== undefined),
      retryMinutes: inMinutes(problem.retryAfterSeconds ?? 60),
    },
  }
}

/** Rounded up: a person who waits as told is let in. */
export const inMinutes = (seconds: number): number => Math.max(1, Math.ceil(seconds / 60))
