//! ISO 3166-1 alpha-2 codes of countries by the English names that topology files use.

use causeway_interface::Country;

/// The code of a country by name or by code, in any case; none where the name is not known.
pub fn by_name(name: &str) -> Option<Country> {
    let name = name.trim();
    if name.len() == 2 {
        let upper = name.to_ascii_uppercase();
        let known = NAMES.iter().any(|(code, _)| *code == upper);
        return known.then(|| upper.parse().ok()).flatten();
    }
    let lower = name.to_lowercase();
    let (code, _) = NAMES.iter().find(|(_, names)| names.split('|').any(|n| n == lower))?;
    code.parse().ok()
}

const NAMES: &[(&str, &str)] = &[
    ("AD", "andorra"), ("AE", "united arab emirates|uae"), ("AF", "afghanistan"), ("AG", "antigua and barbuda"),
    ("AI", "anguilla"), ("AL", "albania"), ("AM", "armenia"), ("AO", "angola"), ("AQ", "antarctica"),
    ("AR", "argentina"), ("AS", "american samoa"), ("AT", "austria"), ("AU", "australia"), ("AW", "aruba"),
    ("AX", "aland islands"), ("AZ", "azerbaijan"), ("BA", "bosnia and herzegovina|bosnia"), ("BB", "barbados"),
    ("BD", "bangladesh"), ("BE", "belgium"), ("BF", "burkina faso"), ("BG", "bulgaria"), ("BH", "bahrain"),
    ("BI", "burundi"), ("BJ", "benin"), ("BL", "saint barthelemy"), ("BM", "bermuda"), ("BN", "brunei"),
    ("BO", "bolivia"), ("BQ", "bonaire"), ("BR", "brazil"), ("BS", "bahamas|the bahamas"), ("BT", "bhutan"),
    ("BV", "bouvet island"), ("BW", "botswana"), ("BY", "belarus"), ("BZ", "belize"), ("CA", "canada"),
    ("CC", "cocos islands"), ("CD", "democratic republic of the congo|dr congo"), ("CF", "central african republic"),
    ("CG", "congo|republic of the congo"), ("CH", "switzerland"), ("CI", "ivory coast|cote d'ivoire"),
    ("CK", "cook islands"), ("CL", "chile"), ("CM", "cameroon"), ("CN", "china"), ("CO", "colombia"),
    ("CR", "costa rica"), ("CU", "cuba"), ("CV", "cape verde"), ("CW", "curacao"), ("CX", "christmas island"),
    ("CY", "cyprus"), ("CZ", "czech republic|czechia"), ("DE", "germany"), ("DJ", "djibouti"), ("DK", "denmark"),
    ("DM", "dominica"), ("DO", "dominican republic"), ("DZ", "algeria"), ("EC", "ecuador"), ("EE", "estonia"),
    ("EG", "egypt"), ("EH", "western sahara"), ("ER", "eritrea"), ("ES", "spain"), ("ET", "ethiopia"),
    ("FI", "finland"), ("FJ", "fiji"), ("FK", "falkland islands"), ("FM", "micronesia"), ("FO", "faroe islands"),
    ("FR", "france"), ("GA", "gabon"), ("GB", "united kingdom|great britain|england|scotland|wales|northern ireland"),
    ("GD", "grenada"), ("GE", "georgia"), ("GF", "french guiana"), ("GG", "guernsey"), ("GH", "ghana"),
    ("GI", "gibraltar"), ("GL", "greenland"), ("GM", "gambia|the gambia"), ("GN", "guinea"), ("GP", "guadeloupe"),
    ("GQ", "equatorial guinea"), ("GR", "greece"), ("GS", "south georgia"), ("GT", "guatemala"), ("GU", "guam"),
    ("GW", "guinea-bissau"), ("GY", "guyana"), ("HK", "hong kong"), ("HM", "heard island"), ("HN", "honduras"),
    ("HR", "croatia"), ("HT", "haiti"), ("HU", "hungary"), ("ID", "indonesia"), ("IE", "ireland"), ("IL", "israel"),
    ("IM", "isle of man"), ("IN", "india"), ("IO", "british indian ocean territory"), ("IQ", "iraq"), ("IR", "iran"),
    ("IS", "iceland"), ("IT", "italy"), ("JE", "jersey"), ("JM", "jamaica"), ("JO", "jordan"), ("JP", "japan"),
    ("KE", "kenya"), ("KG", "kyrgyzstan"), ("KH", "cambodia"), ("KI", "kiribati"), ("KM", "comoros"),
    ("KN", "saint kitts and nevis"), ("KP", "north korea"), ("KR", "south korea|korea|republic of korea"),
    ("KW", "kuwait"), ("KY", "cayman islands"), ("KZ", "kazakhstan"), ("LA", "laos"), ("LB", "lebanon"),
    ("LC", "saint lucia"), ("LI", "liechtenstein"), ("LK", "sri lanka"), ("LR", "liberia"), ("LS", "lesotho"),
    ("LT", "lithuania"), ("LU", "luxembourg"), ("LV", "latvia"), ("LY", "libya"), ("MA", "morocco"), ("MC", "monaco"),
    ("MD", "moldova"), ("ME", "montenegro"), ("MF", "saint martin"), ("MG", "madagascar"), ("MH", "marshall islands"),
    ("MK", "macedonia|north macedonia"), ("ML", "mali"), ("MM", "myanmar|burma"), ("MN", "mongolia"),
    ("MO", "macao|macau"), ("MP", "northern mariana islands"), ("MQ", "martinique"), ("MR", "mauritania"),
    ("MS", "montserrat"), ("MT", "malta"), ("MU", "mauritius"), ("MV", "maldives"), ("MW", "malawi"), ("MX", "mexico"),
    ("MY", "malaysia"), ("MZ", "mozambique"), ("NA", "namibia"), ("NC", "new caledonia"), ("NE", "niger"),
    ("NF", "norfolk island"), ("NG", "nigeria"), ("NI", "nicaragua"), ("NL", "netherlands|the netherlands|holland"),
    ("NO", "norway"), ("NP", "nepal"), ("NR", "nauru"), ("NU", "niue"), ("NZ", "new zealand"), ("OM", "oman"),
    ("PA", "panama"), ("PE", "peru"), ("PF", "french polynesia"), ("PG", "papua new guinea"), ("PH", "philippines"),
    ("PK", "pakistan"), ("PL", "poland"), ("PM", "saint pierre and miquelon"), ("PN", "pitcairn"),
    ("PR", "puerto rico"), ("PS", "palestine|palestinian territory"), ("PT", "portugal"), ("PW", "palau"),
    ("PY", "paraguay"), ("QA", "qatar"), ("RE", "reunion"), ("RO", "romania"), ("RS", "serbia"),
    ("RU", "russia|russian federation"), ("RW", "rwanda"), ("SA", "saudi arabia"), ("SB", "solomon islands"),
    ("SC", "seychelles"), ("SD", "sudan"), ("SE", "sweden"), ("SG", "singapore"), ("SH", "saint helena"),
    ("SI", "slovenia"), ("SJ", "svalbard and jan mayen"), ("SK", "slovakia"), ("SL", "sierra leone"),
    ("SM", "san marino"), ("SN", "senegal"), ("SO", "somalia"), ("SR", "suriname"), ("SS", "south sudan"),
    ("ST", "sao tome and principe"), ("SV", "el salvador"), ("SX", "sint maarten"), ("SY", "syria"),
    ("SZ", "swaziland|eswatini"), ("TC", "turks and caicos islands"), ("TD", "chad"),
    ("TF", "french southern territories"), ("TG", "togo"), ("TH", "thailand"), ("TJ", "tajikistan"), ("TK", "tokelau"),
    ("TL", "east timor|timor-leste"), ("TM", "turkmenistan"), ("TN", "tunisia"), ("TO", "tonga"), ("TR", "turkey"),
    ("TT", "trinidad and tobago"), ("TV", "tuvalu"), ("TW", "taiwan"), ("TZ", "tanzania"), ("UA", "ukraine"),
    ("UG", "uganda"), ("UM", "united states minor outlying islands"),
    ("US", "united states|united states of america|usa"), ("UY", "uruguay"), ("UZ", "uzbekistan"),
    ("VA", "vatican|vatican city"), ("VC", "saint vincent and the grenadines"), ("VE", "venezuela"),
    ("VG", "british virgin islands"), ("VI", "u.s. virgin islands"), ("VN", "vietnam"), ("VU", "vanuatu"),
    ("WF", "wallis and futuna"), ("WS", "samoa"), ("XK", "kosovo"), ("YE", "yemen"), ("YT", "mayotte"),
    ("ZA", "south africa"), ("ZM", "zambia"), ("ZW", "zimbabwe"),
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn finds_names_and_codes_and_nothing_else() {
        assert_eq!(by_name("United States").unwrap().to_string(), "US");
        assert_eq!(by_name(" germany ").unwrap().to_string(), "DE");
        assert_eq!(by_name("fr").unwrap().to_string(), "FR");
        assert_eq!(by_name("Atlantis"), None);
        assert_eq!(by_name("QQ"), None);
        for (code, _) in NAMES {
            assert!(code.parse::<Country>().is_ok(), "{code}");
        }
    }
}
