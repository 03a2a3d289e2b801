// Uploads one file with tus-js-client and prints {"url", "offset"} as JSON.
// Arguments: URL FILE TOKEN CHUNK_BYTES [UPLOAD_URL [STOP_AT]]
// With UPLOAD_URL an earlier upload is gone on with ("-": a new one); at STOP_AT bytes the client goes away.
import { createReadStream, statSync } from 'node:fs'
import { basename } from 'node:path'
import { Upload } from 'tus-js-client'

const [url, file, token, chunk, earlier = '-', stopAt = '0'] = process.argv.slice(2)
let resumedAt = null

const upload = new Upload(createReadStream(file), {
  endpoint: url,
  uploadUrl: earlier === '-' ? null : earlier,
  uploadSize: statSync(file).size,
  chunkSize: Number(chunk),
  retryDelays: [],
  headers: { Authorization: `Bearer ${token}` },
  metadata: { filename: basename(file), filetype: 'video/mp4' },
  onChunkComplete(_size, accepted) {
    resumedAt ??= accepted
    if (Number(stopAt) && accepted >= Number(stopAt)) {
      console.log(JSON.stringify({ url: upload.url, offset: accepted }))
      process.exit(0)
    }
  },
  onSuccess() {
    console.log(JSON.stringify({ url: upload.url, offset: statSync(file).size, first: resumedAt }))
  },
  onError(error) {
    console.error(String(error))
    process.exit(1)
  },
})
upload.start()
