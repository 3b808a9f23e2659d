// The list of lessons in English: a part of en.ts.
import type { Catalogue } from './catalogue.ts'

export const LESSONS_EN: Catalogue['lessons'] = {
  heading: 'Lessons',
  says: 'Each is one page: aims, steps, questions, what to expect, and a page for the teacher. All of them work offline.',
  minutes: (value) => `${value} minutes`,
  list: [
    {
      title: '1. Is it a proxy or a VPN?',
      about: 'What a licence, or an order to the operator, changes, and what it does not.',
      minutes: 45,
      file: '1-proxy-or-vpn.md',
    },
    {
      title: '2. What the network sees, what the operator sees',
      about: 'One message, two ways, two observers.',
      minutes: 45,
      file: '2-network-and-operator.md',
    },
    {
      title: '3. What HTTPS already hides, and what it does not',
      about: 'The name of the site, and everything else.',
      minutes: 45,
      file: '3-https.md',
    },
    {
      title: '4. A certificate is a name tag',
      about: 'Issue one, use it, revoke it, and see who knows your name.',
      minutes: 60,
      file: '4-certificates.md',
    },
    {
      title: '5. Read the bytes yourself in Wireshark',
      about: 'Each student finds words of their own in a capture.',
      minutes: 60,
      file: '5-wireshark.md',
    },
    {
      title: '6. Audit a proxy that you were given',
      about: 'What it hides, what it adds, and what goes around it.',
      minutes: 60,
      file: '6-audit.md',
    },
  ],
  own: 'Words of their own for each student',
  ownSays:
    'A seed gives each student other words and addresses; the second line checks an answer file against its seed.',
}
