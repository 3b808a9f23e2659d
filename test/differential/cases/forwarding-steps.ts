// Scripts that the tables of absolute-form requests share. Rule: the target names the origin of the run.
import { answer, dialled, head, originSend, request, send, type Step } from '../script.ts'

export const HOST = 'Host: $ORIGIN'
export const get = (...fields: string[]): string => head('GET http://$ORIGIN/ HTTP/1.1', HOST, ...fields)
export const OK = head('HTTP/1.1 200 OK', 'Content-Length: 2') + 'ok'

/** The request goes to the origin, whose answer goes back; `shows` is looked at in the request. */
export const forwards = (text: string, ...shows: string[]): readonly Step[] => [
  send(text),
  request(...shows),
  originSend(OK),
  answer('body'),
]
/** The origin's answer is what is looked at. */
export const answers = (text: string, ...shows: string[]): readonly Step[] => [
  send(get()),
  request(),
  originSend(text),
  answer(...shows),
]
/** It should go nowhere. */
export const refused = (text: string): readonly Step[] => [send(text), answer(), dialled]
/** It should be refused; where it is not, what the origin gets is looked at. */
export const judged = (text: string, ...shows: string[]): readonly Step[] => [
  send(text),
  request(...shows),
  originSend(OK),
  answer(),
]
