export { attempt } from './attempt.ts'
export { type Posted, type PostOptions, post } from './post.ts'
