import { readdir } from 'node:fs/promises'
import { join } from 'node:path'
import { PGlite } from '@electric-sql/pglite'
import { expect } from 'chai'
import { prepareTemplate, templateFor } from '../../src/storage/pglite-template.ts'
import { temporaryDirectory } from '../support/database.ts'

describe('the template of the embedded database', function () {
  this.timeout(60_000)
  let home: string
  let template: string
  before(async () => {
    home = await temporaryDirectory('template')
    template = join(home, 'cache', 'pglite.tar.gz')
  })

  it('is not used where it is missing', async () => {
    expect(await templateFor(join(home, 'new'), template)).to.deep.equal({})
  })

  it('becomes an empty database that keeps what is written into it', async () => {
    await prepareTemplate(template)
    await prepareTemplate(template)
    expect(await readdir(join(home, 'cache'))).to.deep.equal(['pglite.tar.gz'])

    const dataDir = join(home, 'db')
    const fresh = await PGlite.create({ dataDir, ...(await templateFor(dataDir, template)) })
    await fresh.exec('create table kept (value text); insert into kept values ($$yes$$)')
    await fresh.close()

    expect(await templateFor(dataDir, template), 'a database that is there').to.deep.equal({})
    const reopened = await PGlite.create({ dataDir })
    expect((await reopened.query('select value from kept')).rows).to.deep.equal([{ value: 'yes' }])
    await reopened.close()
  })
})
