package model

import (
	"strings"
	"time"
)

// callingCodes are the calling codes of the world, each with the country that
// has it, or the one that most of its numbers are of (ITU-T E.164 Annex).
const callingCodes = "1US 7RU 20EG 27ZA 30GR 31NL 32BE 33FR 34ES 36HU 39IT 40RO 41CH 43AT 44GB 45DK 46SE 47NO 48PL 49DE " +
	"51PE 52MX 53CU 54AR 55BR 56CL 57CO 58VE 60MY 61AU 62ID 63PH 64NZ 65SG 66TH 81JP 82KR 84VN 86CN 90TR 91IN 92PK 93AF 94LK 95MM 98IR " +
	"211SS 212MA 213DZ 216TN 218LY 220GM 221SN 222MR 223ML 224GN 225CI 226BF 227NE 228TG 229BJ 230MU 231LR 232SL 233GH 234NG 235TD 236CF " +
	"237CM 238CV 239ST 240GQ 241GA 242CG 243CD 244AO 245GW 246IO 247AC 248SC 249SD 250RW 251ET 252SO 253DJ 254KE 255TZ 256UG 257BI 258MZ " +
	"260ZM 261MG 262RE 263ZW 264NA 265MW 266LS 267BW 268SZ 269KM 290SH 291ER 297AW 298FO 299GL 350GI 351PT 352LU 353IE 354IS 355AL 356MT " +
	"357CY 358FI 359BG 370LT 371LV 372EE 373MD 374AM 375BY 376AD 377MC 378SM 380UA 381RS 382ME 383XK 385HR 386SI 387BA 389MK 420CZ 421SK " +
	"423LI 500FK 501BZ 502GT 503SV 504HN 505NI 506CR 507PA 508PM 509HT 590GP 591BO 592GY 593EC 594GF 595PY 596MQ 597SR 598UY 599CW 670TL " +
	"672NF 673BN 674NR 675PG 676TO 677SB 678VU 679FJ 680PW 681WF 682CK 683NU 685WS 686KI 687NC 688TV 689PF 690TK 691FM 692MH 850KP 852HK " +
	"853MO 855KH 856LA 880BD 886TW 960MV 961LB 962JO 963SY 964IQ 965KW 966SA 967YE 968OM 970PS 971AE 972IL 973BH 974QA 975BT 976MN 977NP " +
	"992TJ 993TM 994AZ 995GE 996KG 998UZ " +
	// Of shared codes, the parts that are other countries'.
	"76KZ 77KZ 1242BS 1246BB 1264AI 1268AG 1284VG 1340VI 1345KY 1441BM 1473GD 1649TC 1658JM 1664MS 1670MP 1671GU 1684AS 1721SX 1758LC 1767DM " +
	"1784VC 1787PR 1809DO 1829DO 1849DO 1868TT 1869KN 1876JM 1939PR " +
	"1204CA 1226CA 1236CA 1249CA 1250CA 1263CA 1289CA 1306CA 1343CA 1354CA 1365CA 1367CA 1368CA 1382CA 1387CA 1403CA 1416CA 1418CA 1428CA " +
	"1431CA 1437CA 1438CA 1450CA 1468CA 1474CA 1506CA 1514CA 1519CA 1548CA 1579CA 1581CA 1584CA 1587CA 1604CA 1613CA 1639CA 1647CA 1672CA " +
	"1683CA 1705CA 1709CA 1742CA 1753CA 1778CA 1780CA 1782CA 1807CA 1819CA 1825CA 1867CA 1873CA 1879CA 1902CA 1905CA"

// countries is callingCodes taken apart.
var countries = func() map[string]string {
	m := map[string]string{}
	for one := range strings.FieldsSeq(callingCodes) {
		m[one[:len(one)-2]] = one[len(one)-2:]
	}
	return m
}()

// CountryOfPhone is the country of a phone number in E.164 form, as ISO 3166-1
// alpha-2; "" when the calling code is nobody's, or no country's.
func CountryOfPhone(number string) string {
	digits, ok := strings.CutPrefix(number, "+")
	if !ok {
		return ""
	}
	for n := min(4, len(digits)); n > 0; n-- {
		if c := countries[digits[:n]]; c != "" {
			return c
		}
	}
	return ""
}

// UTCOffset is what an IANA time zone is ahead of UTC at a moment, such as
// +05:30; "" for what names none.
func UTCOffset(zone string, at time.Time) string {
	l, err := time.LoadLocation(zone)
	if err != nil || zone == "" || zone == "Local" {
		return ""
	}
	return at.In(l).Format("-07:00")
}

// PhoneOf is a number in E.164 form that may come without its +, as clients of
// other services send it; "" when it cannot be brought into it.
func PhoneOf(sent string) string {
	for _, s := range []string{sent, "+" + sent} {
		if n, ok := PhoneE164(s); ok {
			return n
		}
	}
	return ""
}

// PhoneE164 puts a phone number into E.164 form: + and digits, without what
// people put between them. "00" in front is a +. It does not guess a country.
func PhoneE164(s string) (string, bool) {
	s = strings.TrimSpace(s)
	if rest, ok := strings.CutPrefix(s, "00"); ok {
		s = "+" + rest
	}
	s = bareNumber(s)
	return s, phonePattern.MatchString(s)
}

// bareNumber leaves out what people put between the digits of a number.
func bareNumber(s string) string {
	return strings.NewReplacer(" ", "", "-", "", ".", "", "(", "", ")", "", "/", "", "\u00a0", "").Replace(s)
}
