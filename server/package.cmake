# package.cmake - run by cpack before it packs: in a package of the system, /usr/etc is /etc.
if(EXISTS "${CPACK_TEMPORARY_DIRECTORY}/usr/etc")
  file(RENAME "${CPACK_TEMPORARY_DIRECTORY}/usr/etc" "${CPACK_TEMPORARY_DIRECTORY}/etc")
endif()
