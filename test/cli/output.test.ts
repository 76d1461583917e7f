import { expect } from 'chai'
import { printTable, type Row } from '../../src/cli/output.ts'

describe('a table of a command', () => {
  const written: string[] = []
  const { log } = console
  const printed = (rows: readonly Row[]): string[] => {
    written.length = 0
    console.log = (line: string) => void written.push(line)
    try {
      printTable(rows, 'There are none.')
    } finally {
      console.log = log
    }
    return [...written]
  }

  it('has a heading, columns as wide as what is in them, and no blanks at the end', () => {
    const rows = [
      { key: 'editor', description: '' },
      { key: 'a', description: 'Reads' },
    ]
    expect(printed(rows)).to.deep.equal(['KEY     DESCRIPTION', 'editor', 'a       Reads'])
  })

  it('says so when there is nothing', () => {
    expect(printed([])).to.deep.equal(['There are none.'])
  })

  it('is as long as the list, however long that is', () => {
    const rows = Array.from({ length: 200_000 }, (_, place) => ({ key: `k${place}` }))
    expect(printed(rows)).to.have.length(200_001)
  })
})
