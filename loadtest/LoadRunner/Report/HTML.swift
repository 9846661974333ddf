/// Pieces of a page that is one file: no script, and nothing from elsewhere.
package enum HTML {
    /// For text and for attributes in double quotes.
    package static func escaped(_ text: String) -> String {
        var result = ""
        for scalar in text.unicodeScalars {
            switch scalar {
            case "&": result += "&amp;"
            case "<": result += "&lt;"
            case ">": result += "&gt;"
            case "\"": result += "&quot;"
            case "'": result += "&#39;"
            // XML has no other control characters.
            case "\u{0}"..."\u{8}", "\u{B}", "\u{C}", "\u{E}"..."\u{1F}", "\u{7F}": result += "\u{FFFD}"
            default: result.unicodeScalars.append(scalar)
            }
        }
        return result
    }

    static func table(_ header: [String], _ rows: [[String]], classes: [String] = []) -> String {
        let head = header.map { "<th>\(self.escaped($0))</th>" }.joined()
        let body = rows.enumerated().map { index, row in
            let name = index < classes.count ? " class=\"\(classes[index])\"" : ""
            return "<tr\(name)>" + row.map { "<td>\(self.escaped($0))</td>" }.joined() + "</tr>"
        }
        return
            "<div class=\"wide\"><table><thead><tr>\(head)</tr></thead><tbody>\(body.joined())</tbody></table></div>\n"
    }

    static func page(title: String, body: String) -> String {
        """
        <!DOCTYPE html>
        <html lang="en">
        <head>
        <meta charset="utf-8"/>
        <meta name="viewport" content="width=device-width, initial-scale=1"/>
        <meta name="color-scheme" content="light dark"/>
        <title>\(self.escaped(title))</title>
        <style>
        \(self.style)
        </style>
        </head>
        <body>
        <main>
        \(body)
        </main>
        </body>
        </html>

        """
    }

    private static let style = """
        :root { --surface: #fcfcfb; --card: #ffffff; --text: #0b0b0b; --soft: #52514e; --rule: #e3e2dd; --axis: #898781;
          --good: #0b7a0b; --bad: #c22f2f; --s0: #2a78d6; --s1: #1baf7a; --s2: #d97706; --s3: #7a4fd0; --s4: #c2408a;
          --r0: #b4b2aa; --r1: #b7d3f6; --r2: #86b6ef; --r3: #5598e7; --r4: #256abf; --r5: #104281; }
        @media (prefers-color-scheme: dark) { :root { --surface: #1a1a19; --card: #222221; --text: #ffffff;
          --soft: #c3c2b7; --rule: #383835; --axis: #898781; --good: #45c445; --bad: #f07070; --s0: #3987e5;
          --s1: #199e70; --s2: #c98500; --s3: #9085e9; --s4: #d55181;
          --r0: #5f5e58; --r1: #0d366b; --r2: #184f95; --r3: #256abf; --r4: #3987e5; --r5: #9ec5f4; } }
        * { box-sizing: border-box; }
        body { margin: 0; background: var(--surface); color: var(--text); font: 15px/1.5 system-ui, sans-serif; }
        main { max-width: 1120px; margin: 0 auto; padding: 28px 20px 56px; }
        h1 { font-size: 24px; line-height: 1.25; margin: 0 0 4px; display: flex; gap: 12px; align-items: center;
          flex-wrap: wrap; overflow-wrap: anywhere; }
        .plots + h1 { margin-top: 48px; }
        .wide + .plots { margin-top: 18px; }
        h2 { font-size: 17px; margin: 32px 0 10px; }
        p.lead { color: var(--soft); margin: 0 0 16px; max-width: 75ch; overflow-wrap: anywhere; }
        .verdict { font-size: 13px; font-weight: 600; padding: 2px 10px; border-radius: 99px; border: 1px solid;
          white-space: nowrap; }
        .verdict.pass { color: var(--good); }
        .verdict.fail { color: var(--bad); }
        table { border-collapse: collapse; width: 100%; font-variant-numeric: tabular-nums; }
        th, td { text-align: left; padding: 6px 14px 6px 0; border-bottom: 1px solid var(--rule); vertical-align: top; }
        th { font-size: 13px; font-weight: 500; color: var(--soft); white-space: nowrap; }
        td:first-child { white-space: nowrap; }
        tr.fail td:last-child { color: var(--bad); font-weight: 600; }
        tr.pass td:last-child { color: var(--good); }
        .wide { overflow-x: auto; }
        .plots { display: grid; grid-template-columns: repeat(auto-fit, minmax(min(440px, 100%), 1fr)); gap: 16px; }
        figure { margin: 0; padding: 14px 14px 6px; background: var(--card); border: 1px solid var(--rule);
          border-radius: 8px; display: flex; flex-direction: column; }
        figure svg { margin-top: auto; }
        figcaption { font-weight: 600; }
        figcaption small { color: var(--soft); font-weight: 400; font-size: 13px; }
        .legend { margin: 2px 0 0; font-size: 13px; color: var(--soft); display: flex; flex-wrap: wrap; gap: 2px 14px; }
        .legend i { display: inline-block; width: 10px; height: 10px; border-radius: 2px; margin-right: 6px;
          background: currentColor; }
        svg { width: 100%; height: auto; display: block; }
        .grid { stroke: var(--rule); }
        .mark { stroke: var(--axis); stroke-dasharray: 3 3; }
        text { fill: var(--soft); font-size: 11px; font-variant-numeric: tabular-nums; }
        text.y { text-anchor: end; dominant-baseline: middle; }
        text.x { text-anchor: middle; }
        .line { fill: none; stroke: currentColor; stroke-width: 2; stroke-linejoin: round; }
        .area { fill: currentColor; stroke: var(--card); stroke-width: 1; }
        .dot { fill: currentColor; fill-opacity: .55; }
        .hover { fill: transparent; }
        .hover:hover { fill: var(--axis); fill-opacity: .15; }
        .s0 { color: var(--s0); } .s1 { color: var(--s1); } .s2 { color: var(--s2); } .s3 { color: var(--s3); }
        .s4 { color: var(--s4); } .r0 { color: var(--r0); } .r1 { color: var(--r1); } .r2 { color: var(--r2); }
        .r3 { color: var(--r3); } .r4 { color: var(--r4); } .r5 { color: var(--r5); }
        ul.notes { padding-left: 18px; color: var(--soft); overflow-wrap: anywhere; }
        footer { margin-top: 36px; color: var(--soft); font-size: 13px; }
        """
}
