# package.cmake - run by cpack before it packs, in the folder that becomes the package.
#
# In a package of the system, /usr/etc is /etc.  What pushd says of itself, `pushd --help`, becomes /etc/default/push and
# the manual page, so that neither can be wrong.
set(stage "${CPACK_TEMPORARY_DIRECTORY}")
if(EXISTS "${stage}/usr/etc")
  file(RENAME "${stage}/usr/etc" "${stage}/etc")
endif()

find_program(DPKG_SHLIBDEPS dpkg-shlibdeps)
if(NOT DPKG_SHLIBDEPS)
  message(FATAL_ERROR "no dpkg-shlibdeps, to say what the package depends on: apt install dpkg-dev")
endif()

# lwsws and its library are no targets of this project, which cpack would strip
find_program(STRIP strip)
file(GLOB bundled "${stage}/usr/lib/push/bin/lwsws" "${stage}/usr/lib/push/lib/*.so.*")
if(STRIP AND bundled)
  execute_process(COMMAND ${STRIP} --strip-unneeded ${bundled} COMMAND_ERROR_IS_FATAL ANY)
endif()

# Not for everybody's eyes: the URL of Redis may hold a password.
set(debian "${CMAKE_CURRENT_LIST_DIR}/debian")
file(MAKE_DIRECTORY "${stage}/etc/default" "${stage}/usr/share/man/man8")
execute_process(COMMAND "${stage}/usr/bin/pushd" --help COMMAND awk -f "${debian}/default.awk"
  OUTPUT_FILE "${stage}/etc/default/push" COMMAND_ERROR_IS_FATAL ANY)
file(CHMOD "${stage}/etc/default/push" PERMISSIONS OWNER_READ OWNER_WRITE GROUP_READ)

string(TIMESTAMP day "%Y-%m-%d" UTC)
execute_process(COMMAND "${stage}/usr/bin/pushd" --help
  COMMAND awk -v "day=${day}" -v "version=${CPACK_PACKAGE_VERSION}" -f "${debian}/manual.awk"
  OUTPUT_FILE "${stage}/usr/share/man/man8/pushd.8" COMMAND_ERROR_IS_FATAL ANY)

# What was bundled is others': their copyright, as Debian's sources had it (server/deps keeps it).
file(GLOB copyrights "${CPACK_PUSH_DEPS}/doc/*.copyright")
if(copyrights)
  file(COPY ${copyrights} DESTINATION "${stage}/usr/share/doc/push")
endif()

file(COPY "${CMAKE_CURRENT_LIST_DIR}/../CHANGELOG.md" DESTINATION "${stage}/usr/share/doc/push")
file(RENAME "${stage}/usr/share/doc/push/CHANGELOG.md" "${stage}/usr/share/doc/push/changelog")
string(TIMESTAMP date "%a, %d %b %Y %H:%M:%S +0000" UTC)
file(WRITE "${stage}/usr/share/doc/push/changelog.Debian" "push (${CPACK_PACKAGE_VERSION}-${CPACK_DEBIAN_PACKAGE_RELEASE}) unstable; urgency=medium

  * What has changed in Push is in changelog.gz.

 -- ${CPACK_PACKAGE_CONTACT}  ${date}
")
execute_process(COMMAND gzip -9nf "${stage}/usr/share/doc/push/changelog" "${stage}/usr/share/doc/push/changelog.Debian"
  "${stage}/usr/share/man/man8/pushd.8" "${stage}/usr/share/man/man1/push.1" COMMAND_ERROR_IS_FATAL ANY)
