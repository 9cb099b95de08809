/**
 * `npm run fuzz -- --seconds N --seed S`: hostile inputs for that long. Ends with 1 and the words that repeat it when something was wrong;
 * `--input N` reads that one only.
 */
import { parseArgs } from 'node:util'
import { fuzz } from './fuzz.ts'

const { values } = parseArgs({
  options: {
    seconds: { type: 'string', default: '60' },
    seed: { type: 'string', default: String(Math.floor(Math.random() * 1e9)) },
    input: { type: 'string' },
  },
})
const seconds = Number(values.seconds)
const seed = Number(values.seed)
const input = values.input === undefined ? undefined : Number(values.input)
if (!(seconds > 0) || !Number.isSafeInteger(seed) || (input !== undefined && !(input >= 0))) {
  console.error('usage: npm run fuzz -- --seconds N --seed S --input N')
  process.exit(2)
}
const outcome = await fuzz({ seconds, seed, ...(input === undefined ? {} : { input }) })
console.log(`seed ${seed}: ${outcome.inputs} inputs for ${outcome.targets.length} readers`)
if (outcome.wrong !== undefined) {
  console.error(`WRONG: ${outcome.wrong}`)
  process.exitCode = 1
}
