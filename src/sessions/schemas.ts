/** What /api/v1/me/sessions answers, as JSON Schema. */
import { objectOf, pageSchemaOf } from '../http/schema.ts'
import { sessionMembers } from './presentation.ts'

export const sessionPage = pageSchemaOf(objectOf(sessionMembers, 'Session'))
