
set edit:completion:arg-completer[pangea-mcp-auth] = { |@words|
    var index = (count $words)
    set index = (- $index 1)

    put (env _CLAP_IFS="\n" _CLAP_COMPLETE_INDEX=(to-string $index) _PANGEA_MCP_AUTH_COMPLETE="elvish" pangea-mcp-auth -- $@words) | to-lines
}

