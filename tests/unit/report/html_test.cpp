#include "report/html.h"

#include "support/catch.h"

using namespace capstan::report;

TEST_CASE("text is made safe for HTML, whatever it holds", "[report][html]") {
  CHECK(escape_html("a dog") == "a dog");
  CHECK(escape_html("<script>alert('&\"')</script>") == "&lt;script&gt;alert(&#39;&amp;&quot;&#39;)&lt;/script&gt;");
  CHECK(escape_html("\xC3\xA9t\xC3\xA9 \xF0\x9F\x90\xB6") == "\xC3\xA9t\xC3\xA9 \xF0\x9F\x90\xB6");
  CHECK(escape_html("line\n\tnext") == "line\n\tnext");
}

TEST_CASE("bytes that are no text are replaced, one by one", "[report][html]") {
  const std::string mark = "\xEF\xBF\xBD";
  CHECK(escape_html(std::string("a\0b", 3)) == "a" + mark + "b");
  CHECK(escape_html("\x1B[31m") == mark + "[31m");
  CHECK(escape_html("a\xC3<b") == "a" + mark + "&lt;b");
  CHECK(escape_html("\xFF\xFE") == mark + mark);
  CHECK(escape_html("end\xF0\x9F") == "end" + mark + mark);
}

TEST_CASE("numbers are short", "[report][html]") {
  CHECK(format_number(0) == "0");
  CHECK(format_number(2.5e-5) == "2.5e-5");
  CHECK(format_number(0.0034119) == "0.003412");
  CHECK(format_number(612.44) == "612.4");
  CHECK(format_number(24000) == "24,000");
  CHECK(format_number(-1234567.4) == "-1,234,567");
  CHECK(format_number(3.2e15) == "3.2e15");
  CHECK(format_count(500) == "500");
  CHECK(format_count(2500) == "2.5k");
  CHECK(format_count(1e6) == "1M");
}
