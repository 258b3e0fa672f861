package main

import (
	"fmt"
	"strings"
)

// chart draws the CPU time of a call, a bar a row, as SVG: a panel for each number of calls in flight, with a scale of
// its own.
func chart(rows []row) string {
	const (
		left, width, line = 190, 420, 22
		head              = 34
	)
	var body strings.Builder
	top := 30
	for begin := 0; begin < len(rows); {
		end, most := begin, 0.0
		for ; end < len(rows) && rows[end].InFlight == rows[begin].InFlight; end++ {
			most = max(most, rows[end].CPU)
		}
		_, _ = fmt.Fprintf(&body, `<text x="10" y="%d" class="head">%d in flight</text>`+"\n", top+20, rows[begin].InFlight)
		top += head
		for _, r := range rows[begin:end] {
			class := "other"
			if strings.HasPrefix(r.Program, "service") {
				class = "ours"
			}
			long := r.CPU / most * width
			_, _ = fmt.Fprintf(&body, `<text x="%d" y="%d" class="name">%s, %s</text>`+
				`<rect x="%d" y="%d" width="%.1f" height="%d" class="%s"/><text x="%.1f" y="%d">%.1f</text>`+"\n",
				left-8, top+14, r.Program, r.Face, left, top+2, long, line-6, class, left+long+6, top+14, r.CPU)
			top += line
		}
		begin = end
	}
	return fmt.Sprintf(`<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 %d %d" role="img">
<title>CPU time of a call of each program</title>
<style>
text { font: 12px sans-serif; fill: #222 } .head { font-weight: bold } .name { text-anchor: end }
.ours { fill: #1f6feb } .other { fill: #9aa4b2 }
</style>
<rect width="100%%" height="100%%" fill="#fff"/>
<text x="10" y="20">CPU time of a call, user and system, in microseconds: median of the rounds</text>
%s</svg>
`, left+width+70, top+10, body.String())
}
