// node bench.mjs URL STATE AT_A_TIME FILE...: uploads files with tus-js-client as its documentation does: one PATCH for
// each, and STATE (a file) remembers where uploads are, so that a second run goes on. Without a file it only starts.
import { createReadStream } from 'node:fs'
import { basename } from 'node:path'
import { FileUrlStorage, Upload } from 'tus-js-client'

const [url, state, atATime, ...files] = process.argv.slice(2)

const send = (file) =>
  new Promise((resolve, reject) => {
    const upload = new Upload(createReadStream(file), {
      endpoint: url,
      urlStorage: new FileUrlStorage(state),
      retryDelays: Array(50).fill(1000),
      metadata: { filename: basename(file), filetype: 'video/mp4' },
      onError: reject,
      onSuccess: resolve,
    })
    upload.findPreviousUploads().then((previous) => {
      if (previous.length > 0) {
        upload.resumeFromPreviousUpload(previous[0])
      }
      upload.start()
    }, reject)
  })

const waiting = files.values()
const work = async () => {
  for (const file of waiting) {
    await send(file)
  }
}
await Promise.all(Array.from({ length: Number(atATime) }, work))
