#!/usr/bin/env node
/** Stands in for curl on a machine that has none: the options that README.md and the banner use, and no other. */
const headers = {}
const fields = []
let method
let url
const args = process.argv.slice(2)
while (args.length > 0) {
  const option = args.shift()
  if (option === '-s') continue
  if (option === '-H') headers[args[0].split(': ', 1)[0]] = args.shift().split(': ').slice(1).join(': ')
  else if (option === '-u') headers.Authorization = `Basic ${Buffer.from(args.shift()).toString('base64')}`
  else if (option === '-X') method = args.shift()
  else if (option === '-d') fields.push(args.shift())
  else if (option === '--data-urlencode')
    fields.push(args.shift().replace(/=(.*)$/s, (_, value) => `=${encodeURIComponent(value)}`))
  else if (option.startsWith('-')) throw new Error(`${option} is not among the options this stand-in knows`)
  else url = option
}
const body = fields.length > 0 ? { method: 'POST', body: fields.join('&') } : {}
if (body.body) headers['Content-Type'] ??= 'application/x-www-form-urlencoded'
const reply = await fetch(url, { headers, ...body, ...(method ? { method } : {}) })
process.stdout.write(await reply.text())
