/** What bin/prepare.js runs after an installation. */
import { prepareTemplate } from '../storage/pglite-template.ts'

await prepareTemplate()
