/** Reads the forms of a page as a browser without scripts would: enough HTML for inputs, buttons and their forms. */

export interface Control {
  tag: 'input' | 'button'
  id: string | undefined
  name: string | undefined
  type: string
  value: string
  /** Attributes as written, decoded. */
  attributes: ReadonlyMap<string, string>
}

export interface Form {
  id: string | undefined
  method: string
  /** As written; empty for the page itself. */
  action: string
  controls: Control[]
}

const TAG = /<(\/?)(form|input|button)\b((?:[^>"']|"[^"]*"|'[^']*')*)>/gi
const ATTRIBUTE = /([^\s=/]+)(?:\s*=\s*(?:"([^"]*)"|'([^']*)'|([^\s"'>]+)))?/g

/** Every form with the controls that belong to it, be it by nesting or by their `form` attribute. */
export function formsOf(html: string): Form[] {
  const forms: Form[] = []
  const elsewhere: { owner: string; control: Control }[] = []
  let open: Form | undefined
  for (const [, slash, name = '', text = ''] of withoutScripts(html).matchAll(TAG)) {
    const tag = name.toLowerCase()
    if (tag === 'form') {
      open = slash ? undefined : formFrom(attributesOf(text))
      if (open) forms.push(open)
    } else if (!slash) {
      const control = controlFrom(tag === 'button' ? 'button' : 'input', attributesOf(text))
      const owner = control.attributes.get('form')
      if (owner !== undefined) elsewhere.push({ owner, control })
      else open?.controls.push(control)
    }
  }
  for (const { owner, control } of elsewhere) forms.find(({ id }) => id === owner)?.controls.push(control)
  return forms
}

/** Whether an element with this id is on the page. */
export const hasId = (html: string, id: string): boolean =>
  new RegExp(`<[a-z][^>]*\\sid=(["']?)${RegExp.escape(id)}\\1[\\s/>]`, 'i').test(withoutScripts(html))

/** The form that holds a control with this id, and the control. */
export function controlOf(html: string, id: string): { form: Form; control: Control } {
  for (const form of formsOf(html)) {
    const control = form.controls.find((candidate) => candidate.id === id)
    if (control) return { form, control }
  }
  throw new Error(`no form of the page has a control with the id ${id}`)
}

/** The text of an element that holds no other element. */
export function textOf(html: string, id: string): string | undefined {
  const found = new RegExp(`<[a-z][^>]*\\sid=(["'])${RegExp.escape(id)}\\1[^>]*>([^<]*)<`, 'i').exec(html)
  return found?.[2] === undefined ? undefined : decode(found[2]).trim()
}

const withoutScripts = (html: string): string =>
  html.replaceAll(/<!--[\s\S]*?-->|<(script|style)\b[\s\S]*?<\/\1\s*>/gi, '')

const formFrom = (attributes: ReadonlyMap<string, string>): Form => ({
  id: attributes.get('id'),
  method: (attributes.get('method') ?? 'get').toUpperCase(),
  action: attributes.get('action') ?? '',
  controls: [],
})

const controlFrom = (tag: Control['tag'], attributes: ReadonlyMap<string, string>): Control => ({
  tag,
  id: attributes.get('id'),
  name: attributes.get('name'),
  type: (attributes.get('type') ?? (tag === 'button' ? 'submit' : 'text')).toLowerCase(),
  value: attributes.get('value') ?? '',
  attributes,
})

function attributesOf(text: string): Map<string, string> {
  const attributes = new Map<string, string>()
  for (const [, name = '', double, single, bare] of text.matchAll(ATTRIBUTE)) {
    attributes.set(name.toLowerCase(), decode(double ?? single ?? bare ?? ''))
  }
  return attributes
}

const ENTITIES: Readonly<Record<string, string>> = { amp: '&', lt: '<', gt: '>', quot: '"', apos: "'", nbsp: ' ' }

const decode = (text: string): string =>
  text.replaceAll(/&(?:#x([\da-f]+)|#(\d+)|(\w+));/gi, (whole, hex?: string, decimal?: string, name?: string) => {
    if (hex !== undefined) return String.fromCodePoint(Number.parseInt(hex, 16))
    if (decimal !== undefined) return String.fromCodePoint(Number(decimal))
    return ENTITIES[name ?? ''] ?? whole
  })
