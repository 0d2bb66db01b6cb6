export { Uploader, type UploaderOptions } from './uploader.ts'
