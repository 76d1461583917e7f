/** The floor: node:http and nothing else. Answers a POST after reading its form, and a GET at once. */
import { createServer } from 'node:http'

const body = process.env.BENCH_BODY ?? '{"msg":"Token is valid"}'
const headers = ['Content-Type', 'application/json; charset=utf-8', 'Content-Length', String(Buffer.byteLength(body))]

const server = createServer(async (request, response) => {
  if (request.method === 'POST') {
    const chunks: Buffer[] = []
    for await (const chunk of request) chunks.push(chunk)
    new URLSearchParams(Buffer.concat(chunks).toString())
  }
  response.writeHead(200, headers).end(body)
})
server.keepAliveTimeout = 75_000
server.listen(Number(process.env.BENCH_PORT), '127.0.0.1', () => console.log('listening'))
