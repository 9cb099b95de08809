/** See torture-test.ts. */
import { tortureTest } from './torture-test.ts'

tortureTest(18)
