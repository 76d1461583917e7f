/** Bodies and answers of AuthZEN, as JSON Schema. Entities may carry more than we look at, as the specification allows. */
import { type BodySchema, objectOf } from '../http/schema.ts'
import { EVALUATIONS_SEMANTICS } from './authzen.ts'

const NAME = { type: 'string', minLength: 1, maxLength: 200 }
const MORE = { properties: { type: 'object', description: 'Not looked at.' } }
const MAX_EVALUATIONS = 100

const entity = (description: string) => ({
  type: 'object',
  description,
  required: ['type', 'id'],
  properties: { type: NAME, id: NAME, ...MORE },
})

const tuple = {
  subject: entity('Of the type `user` or `account`, by its id; `non_registered` for whoever has not signed in.'),
  action: { type: 'object', required: ['name'], properties: { name: NAME, ...MORE } },
  resource: entity('Its type and the action name the permission: `document` and `read` are `document:read`.'),
  context: { type: 'object', description: 'Not looked at.' },
}

export const evaluationRequest: BodySchema = {
  type: 'object',
  additionalProperties: false,
  required: ['subject', 'action', 'resource'],
  properties: tuple,
}

export const evaluationsRequest: BodySchema = {
  type: 'object',
  additionalProperties: false,
  properties: {
    ...tuple,
    evaluations: {
      type: 'array',
      maxItems: MAX_EVALUATIONS,
      description: 'What is left out is taken from above. Without any, the request is for one decision.',
      items: { type: 'object', additionalProperties: false, properties: tuple },
    },
    options: {
      type: 'object',
      properties: { evaluations_semantic: { enum: [...EVALUATIONS_SEMANTICS], default: 'execute_all' } },
    },
  },
}

export const evaluation = {
  title: 'Evaluation',
  type: 'object',
  additionalProperties: false,
  required: ['decision'],
  properties: {
    decision: { type: 'boolean' },
    context: { type: 'object', description: 'Why not, where that is not simply the permission.' },
  },
}

export const evaluations = {
  type: 'object',
  additionalProperties: false,
  description: 'One decision, or in the order of the request those that were made.',
  properties: {
    decision: evaluation.properties.decision,
    context: evaluation.properties.context,
    evaluations: { type: 'array', items: evaluation },
  },
}

const ADDRESS = { type: 'string', format: 'uri' }

export const authzenConfiguration = objectOf(
  {
    policy_decision_point: ADDRESS,
    access_evaluation_endpoint: ADDRESS,
    access_evaluations_endpoint: ADDRESS,
  },
  'AuthzenConfiguration',
)
