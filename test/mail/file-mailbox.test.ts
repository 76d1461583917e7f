import { mkdir, readdir, readFile, stat, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { expect } from 'chai'
import { createFileMailbox } from '../../src/mail/file-mailbox.ts'
import { temporaryDirectory } from '../support/database.ts'
import { codeFor, mailerOver } from './mail.ts'

describe('the mail folder', () => {
  let dir: string
  beforeEach(async () => {
    dir = join(await temporaryDirectory('mail'), 'data', 'outbox')
  })

  const modeOf = async (path: string) => ((await stat(path)).mode & 0o777).toString(8)

  it('keeps each mail as an .eml file that only the owner may read, in a folder of his', async () => {
    const mailer = mailerOver(createFileMailbox(dir))
    await mailer.send(codeFor('vera@example.test', 'ru'))
    await mailer.send(codeFor('vera@example.test'))
    const files = await readdir(dir)
    expect(files).to.have.lengthOf(2)
    for (const file of files) {
      expect(file).to.match(/^[\da-f-]{36}\.eml$/)
      expect(await modeOf(join(dir, file))).to.equal('600')
    }
    expect(await modeOf(dir)).to.equal('700')
    const raw = await readFile(join(dir, files[0] ?? ''), 'utf8')
    expect(raw)
      .to.match(/^To: vera@example\.test\r$/m)
      .and.match(/^Auto-Submitted: auto-generated\r$/m)
  })

  it('lists the newest first and reads one by its id', async () => {
    const mailbox = createFileMailbox(dir)
    const mailer = mailerOver(mailbox)
    expect(await mailbox.list()).to.deep.equal([])
    for (const name of ['a', 'b', 'c']) {
      await mailer.send(codeFor(`${name}@example.test`))
      await new Promise((resolve) => setTimeout(resolve, 2)) // ids sort by millisecond
    }
    const mails = await mailbox.list(2)
    expect(mails.map(({ to }) => to)).to.deep.equal(['c@example.test', 'b@example.test'])
    const [first] = mails
    expect(first).to.deep.equal(await mailbox.read(first?.id ?? ''))
    expect(first?.subject).to.equal('042917 is your code to set a new password')
    expect(first?.text).to.include('042917')
    expect(Number.isNaN(Date.parse(first?.sentAt ?? ''))).to.equal(false)
  })

  it('shows no file but mails, whatever the id says', async () => {
    const mailbox = createFileMailbox(dir)
    await mkdir(dir, { recursive: true })
    await writeFile(join(dir, '..', 'secret.eml'), 'Subject: secret\r\n\r\n')
    await writeFile(join(dir, 'half.eml.part'), 'Subject: half\r\n\r\n')
    await writeFile(join(dir, 'foreign.eml'), 'Subject: foreign\r\n\r\n')
    expect(await mailbox.list()).to.deep.equal([])
    for (const id of ['../secret', '..%2fsecret', 'foreign', 'half', '', '0190a1b2-c3d4-7e5f-8a9b-0c1d2e3f4a5b']) {
      expect(await mailbox.read(id)).to.equal(undefined)
    }
  })

  it('loses no mail when the folder cannot be written: the outbox hears of it', async () => {
    await mkdir(join(dir, '..'), { recursive: true })
    await writeFile(dir, 'not a folder')
    const failure = await mailerOver(createFileMailbox(dir)).send(codeFor('vera@example.test')).catch(String)
    expect(failure).to.match(/ENOTDIR|EEXIST/)
  })
})
