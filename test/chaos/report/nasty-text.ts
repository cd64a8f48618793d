/** Text that breaks out of whatever does not escape it. */
export const nasty =
  '</script><!--<script>fetch("http://127.0.0.1:1/")</script>"\'><img src=x onerror=alert(1)>]]>&amp;&lt;\u0000\u001B\n\t\u2028\u{1F600}</style>\uD800<b>';
