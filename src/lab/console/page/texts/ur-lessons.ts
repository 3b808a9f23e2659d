// The list of lessons in Urdu, not yet reviewed by a native speaker: a part of ur.ts.
import type { Catalogue } from './catalogue.ts'

const n = (value: number): string => new Intl.NumberFormat('ur-PK').format(value)

export const LESSONS_UR: Catalogue['lessons'] = {
  heading: 'اسباق',
  says: 'ہر سبق ایک صفحہ ہے: مقاصد، مراحل، سوالات، متوقع نتائج، اور استاد کا صفحہ۔ سب انٹرنیٹ کے بغیر چلتے ہیں۔ (صفحات انگریزی میں ہیں۔)',
  minutes: (value) => `${n(value)} منٹ`,
  list: [
    {
      title: '1. یہ پراکسی ہے یا VPN؟',
      about: 'لائسنس، یا چلانے والے کو حکم، کیا بدلتا ہے اور کیا نہیں۔',
      minutes: 45,
      file: '1-proxy-or-vpn.md',
    },
    {
      title: '2. نیٹ ورک کیا دیکھتا ہے، چلانے والا کیا دیکھتا ہے',
      about: 'ایک پیغام، دو راستے، دو مشاہدہ کرنے والے۔',
      minutes: 45,
      file: '2-network-and-operator.md',
    },
    {
      title: '3. HTTPS پہلے ہی کیا چھپاتا ہے، اور کیا نہیں',
      about: 'سائٹ کا نام، اور باقی سب۔',
      minutes: 45,
      file: '3-https.md',
    },
    {
      title: '4. سرٹیفکیٹ نام کی تختی ہے',
      about: 'ایک جاری کریں، استعمال کریں، منسوخ کریں، اور دیکھیں کہ آپ کا نام کون جانتا ہے۔',
      minutes: 60,
      file: '4-certificates.md',
    },
    {
      title: '5. Wireshark میں بائٹس خود پڑھیں',
      about: 'ہر طالب علم فائل میں اپنے الفاظ ڈھونڈتا ہے۔',
      minutes: 60,
      file: '5-wireshark.md',
    },
    {
      title: '6. جو پراکسی آپ کو دی گئی اس کی جانچ کریں',
      about: 'وہ کیا چھپاتی ہے، کیا بڑھاتی ہے، اور کیا اس کے پہلو سے نکل جاتا ہے۔',
      minutes: 60,
      file: '6-audit.md',
    },
  ],
  own: 'ہر طالب علم کے لیے الگ الفاظ',
  ownSays:
    'seed ہر طالب علم کو الگ الفاظ اور پتے دیتا ہے؛ دوسری سطر جواب کی فائل کو اس کے seed سے جانچتی ہے۔',
}
